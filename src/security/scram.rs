//! SCRAM credentials (RFC 5802, KIP-554): what is stored of a password. No mechanism of authentication uses them
//! yet; they are kept, described and deleted.
//!
//! Secrets have no `Debug`. Kafka: `ScramMechanism`, `ScramFormatter`, `ScramCredential`.

use std::fmt;

use hmac::digest::Digest;
use hmac::{Mac, SimpleHmac};
use sha2::{Sha256, Sha512};

/// Iterations below this are too cheap to try passwords with.
pub const MIN_ITERATIONS: i32 = 4096;
/// Iterations above this keep a client and a broker too busy.
pub const MAX_ITERATIONS: i32 = 16384;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ScramMechanism {
    Sha256,
    Sha512,
}

impl ScramMechanism {
    /// `None` for a number that Kafka does not have.
    pub fn from_code(code: i8) -> Option<ScramMechanism> {
        match code {
            1 => Some(ScramMechanism::Sha256),
            2 => Some(ScramMechanism::Sha512),
            _ => None,
        }
    }

    pub fn code(self) -> i8 {
        match self {
            ScramMechanism::Sha256 => 1,
            ScramMechanism::Sha512 => 2,
        }
    }
}

/// A password as a client sends it: salted and hashed so often as its iterations say.
#[derive(Clone, PartialEq, Eq)]
pub struct SaltedPassword(pub Vec<u8>);

impl fmt::Debug for SaltedPassword {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("[hidden]")
    }
}

/// What checks a password without being enough to pretend to know it.
#[derive(Clone, PartialEq, Eq)]
pub struct ScramCredential {
    pub salt: Vec<u8>,
    pub stored_key: Vec<u8>,
    pub server_key: Vec<u8>,
    pub iterations: i32,
}

impl fmt::Debug for ScramCredential {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("[hidden]")
    }
}

impl ScramCredential {
    pub fn new(
        mechanism: ScramMechanism,
        salt: &[u8],
        password: &SaltedPassword,
        iterations: i32,
    ) -> ScramCredential {
        let (stored_key, server_key) = match mechanism {
            ScramMechanism::Sha256 => keys::<Sha256>(password),
            ScramMechanism::Sha512 => keys::<Sha512>(password),
        };
        ScramCredential { salt: salt.to_vec(), stored_key, server_key, iterations }
    }
}

/// `StoredKey` and `ServerKey` of RFC 5802.
fn keys<Hash: Digest + hmac::digest::core_api::BlockSizeUser>(
    password: &SaltedPassword,
) -> (Vec<u8>, Vec<u8>) {
    let keyed = |text: &[u8]| {
        let mac = <SimpleHmac<Hash> as Mac>::new_from_slice(&password.0);
        mac.expect("a key of any size will do").chain_update(text).finalize().into_bytes()
    };
    (Hash::digest(keyed(b"Client Key")).to_vec(), keyed(b"Server Key").to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hex(text: &str) -> Vec<u8> {
        (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
    }

    #[test]
    fn keys_are_those_of_rfc_7677() {
        // The salted password of "pencil" in the example of RFC 7677, section 3.
        let password =
            SaltedPassword(hex("c4a49510323ab4f952cac1fa99441939e78ea74d6be81ddf7096e87513dc615d"));
        let credential = ScramCredential::new(ScramMechanism::Sha256, b"salt", &password, 4096);
        assert_eq!(
            (credential.stored_key, credential.server_key),
            (
                hex("586e5df283e6dceb5c3e791d8b8528ec191e664045ce971792e2e6b5bb13e2a6"),
                hex("c1f3cbc1c13a9d35a14c0990eed97629ea225863e566a4314ab99f3f00e5d9d5")
            )
        );
    }

    #[test]
    fn secrets_are_not_shown() {
        let password = SaltedPassword(vec![1, 2, 3]);
        let credential = ScramCredential::new(ScramMechanism::Sha512, b"salt", &password, 4096);
        assert_eq!(format!("{password:?} {credential:?}"), "[hidden] [hidden]");
        assert_eq!(credential.stored_key.len(), 64);
    }
}
