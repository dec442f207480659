//! Who a client is. Nobody logs in while only PLAINTEXT is built in (`config::listeners` refuses the rest), so everybody
//! is the same. Kafka: `KafkaPrincipal`.

/// The one kind of principal that Kafka itself makes.
pub const USER_TYPE: &str = "User";
/// The name of who has not authenticated.
pub const ANONYMOUS: &str = "ANONYMOUS";
