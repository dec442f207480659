//! Broker keys of authorization, authentication and encryption, which this build refuses
//! (`BrokerSecurityConfigs`, `SaslConfigs`, `SslConfigs`).

use crate::config::key::Check::*;
use crate::config::key::Class::Refused;
use crate::config::key::{Key, keys};
use crate::config::keys::reasons::SECURITY;

pub static KEYS: &[Key] = keys! {
    "authorizer.class.name" => String, "", Any, ReadOnly, Refused(SECURITY),
        "Class of the authorizer; empty lets every client do everything.";
    "connection.failed.authentication.delay.ms" => Int, "100", AtLeast(0), ReadOnly, Refused(SECURITY),
        "Time before a connection that failed to authenticate is closed.";
    "connections.max.reauth.ms" => Long, "0", Any, ReadOnly, Refused(SECURITY),
        "Time after which a client must authenticate again; 0 never asks.";
    "delegation.token.expiry.check.interval.ms" => Long, "3600000", AtLeast(1), ReadOnly, Refused(SECURITY),
        "Time between two looks for expired delegation tokens.";
    "delegation.token.expiry.time.ms" => Long, "86400000", AtLeast(1), ReadOnly, Refused(SECURITY),
        "Life of a delegation token between two renewals.";
    "delegation.token.max.lifetime.ms" => Long, "604800000", AtLeast(1), ReadOnly, Refused(SECURITY),
        "Greatest life of a delegation token.";
    "delegation.token.secret.key" => Password, null, Any, ReadOnly, Refused(SECURITY),
        "Secret that delegation tokens are signed with.";
    "principal.builder.class" => Class,
        "org.apache.kafka.common.security.authenticator.DefaultKafkaPrincipalBuilder",
        Any, PerBroker, Refused(SECURITY),
        "Java class that names the principal of a connection.";
    "sasl.client.callback.handler.class" => Class, null, Any, ReadOnly, Refused(SECURITY),
        "Java class that answers SASL callbacks of a client.";
    "sasl.enabled.mechanisms" => List, "GSSAPI", Any, PerBroker, Refused(SECURITY),
        "SASL mechanisms that are served.";
    "sasl.jaas.config" => Password, null, Any, PerBroker, Refused(SECURITY),
        "JAAS login context of SASL connections.";
    "sasl.kerberos.kinit.cmd" => String, "/usr/bin/kinit", Any, PerBroker, Refused(SECURITY),
        "Path of kinit.";
    "sasl.kerberos.min.time.before.relogin" => Long, "60000", Any, PerBroker, Refused(SECURITY),
        "Least time between two Kerberos logins.";
    "sasl.kerberos.principal.to.local.rules" => List, "DEFAULT", Any, PerBroker, Refused(SECURITY),
        "Rules from a Kerberos principal to a short name.";
    "sasl.kerberos.service.name" => String, null, Any, PerBroker, Refused(SECURITY),
        "Kerberos name the broker runs as.";
    "sasl.kerberos.ticket.renew.jitter" => Double, "0.05", Any, PerBroker, Refused(SECURITY),
        "Random share of the time to renewal.";
    "sasl.kerberos.ticket.renew.window.factor" => Double, "0.8", Any, PerBroker, Refused(SECURITY),
        "Share of a ticket's life after which it is renewed.";
    "sasl.login.callback.handler.class" => Class, null, Any, ReadOnly, Refused(SECURITY),
        "Java class that answers SASL login callbacks.";
    "sasl.login.class" => Class, null, Any, ReadOnly, Refused(SECURITY),
        "Java class that logs in.";
    "sasl.login.connect.timeout.ms" => Int, null, Any, ReadOnly, Refused(SECURITY),
        "Time to connect to the outside identity provider.";
    "sasl.login.read.timeout.ms" => Int, null, Any, ReadOnly, Refused(SECURITY),
        "Time to wait for the outside identity provider.";
    "sasl.login.refresh.buffer.seconds" => Short, "300", Any, PerBroker, Refused(SECURITY),
        "Time before expiry by which a credential is refreshed.";
    "sasl.login.refresh.min.period.seconds" => Short, "60", Any, PerBroker, Refused(SECURITY),
        "Least time between two refreshes of a credential.";
    "sasl.login.refresh.window.factor" => Double, "0.8", Any, PerBroker, Refused(SECURITY),
        "Share of a credential's life after which it is refreshed.";
    "sasl.login.refresh.window.jitter" => Double, "0.05", Any, PerBroker, Refused(SECURITY),
        "Random share of the time to refresh.";
    "sasl.login.retry.backoff.max.ms" => Long, "10000", Any, ReadOnly, Refused(SECURITY),
        "Longest wait before a login is tried again.";
    "sasl.login.retry.backoff.ms" => Long, "100", Any, ReadOnly, Refused(SECURITY),
        "Wait before a login is tried again.";
    "sasl.mechanism.controller.protocol" => String, "GSSAPI", Any, ReadOnly, Refused(SECURITY),
        "SASL mechanism towards controllers.";
    "sasl.mechanism.inter.broker.protocol" => String, "GSSAPI", Any, PerBroker, Refused(SECURITY),
        "SASL mechanism between brokers.";
    "sasl.oauthbearer.allow.unverified.audience" => Boolean, "false", Any, ReadOnly, Refused(SECURITY),
        "Whether a token is taken without a check of its audience.";
    "sasl.oauthbearer.allow.unverified.issuer" => Boolean, "false", Any, ReadOnly, Refused(SECURITY),
        "Whether a token is taken without a check of its issuer.";
    "sasl.oauthbearer.assertion.algorithm" => String, "RS256",
        OneOfIgnoringCase(&["ES256", "RS256"]), ReadOnly, Refused(SECURITY),
        "Algorithm that signs an assertion.";
    "sasl.oauthbearer.assertion.claim.aud" => String, null, Any, ReadOnly, Refused(SECURITY),
        "Audience of an assertion.";
    "sasl.oauthbearer.assertion.claim.exp.seconds" => Int, "300",
        Between(0, 86400), ReadOnly, Refused(SECURITY),
        "Life of an assertion.";
    "sasl.oauthbearer.assertion.claim.iss" => String, null, Any, ReadOnly, Refused(SECURITY),
        "Issuer of an assertion.";
    "sasl.oauthbearer.assertion.claim.jti.include" => Boolean, "false", Any, ReadOnly, Refused(SECURITY),
        "Whether an assertion carries a unique id.";
    "sasl.oauthbearer.assertion.claim.nbf.seconds" => Int, "60",
        Between(0, 3600), ReadOnly, Refused(SECURITY),
        "How long before its making an assertion is valid.";
    "sasl.oauthbearer.assertion.claim.sub" => String, null, Any, ReadOnly, Refused(SECURITY),
        "Subject of an assertion.";
    "sasl.oauthbearer.assertion.file" => String, null, Any, ReadOnly, Refused(SECURITY),
        "File with a ready assertion.";
    "sasl.oauthbearer.assertion.private.key.file" => String, null, Any, ReadOnly, Refused(SECURITY),
        "File with the key that signs assertions.";
    "sasl.oauthbearer.assertion.private.key.passphrase" => Password, null, Any, ReadOnly, Refused(SECURITY),
        "Passphrase of that key.";
    "sasl.oauthbearer.assertion.template.file" => String, null, Any, ReadOnly, Refused(SECURITY),
        "File with the header and payload of an assertion.";
    "sasl.oauthbearer.client.credentials.client.id" => String, null, Any, ReadOnly, Refused(SECURITY),
        "Client id at the identity provider.";
    "sasl.oauthbearer.client.credentials.client.secret" => Password, null, Any, ReadOnly, Refused(SECURITY),
        "Client secret at the identity provider.";
    "sasl.oauthbearer.clock.skew.seconds" => Int, "30", Any, ReadOnly, Refused(SECURITY),
        "Difference of clocks that is tolerated.";
    "sasl.oauthbearer.expected.audience" => List, "", Any, ReadOnly, Refused(SECURITY),
        "Audiences a token must name.";
    "sasl.oauthbearer.expected.issuer" => String, null, Any, ReadOnly, Refused(SECURITY),
        "Issuer a token must come from.";
    "sasl.oauthbearer.jwks.endpoint.refresh.ms" => Long, "3600000", Any, ReadOnly, Refused(SECURITY),
        "Time between two fetches of the provider's keys.";
    "sasl.oauthbearer.jwks.endpoint.retry.backoff.max.ms" => Long, "10000", Any, ReadOnly, Refused(SECURITY),
        "Longest wait before the keys are fetched again.";
    "sasl.oauthbearer.jwks.endpoint.retry.backoff.ms" => Long, "100", Any, ReadOnly, Refused(SECURITY),
        "Wait before the keys are fetched again.";
    "sasl.oauthbearer.jwks.endpoint.url" => String, null, Any, ReadOnly, Refused(SECURITY),
        "Where the provider's keys are.";
    "sasl.oauthbearer.jwt.retriever.class" => Class,
        "org.apache.kafka.common.security.oauthbearer.DefaultJwtRetriever",
        Any, ReadOnly, Refused(SECURITY),
        "Java class that gets tokens.";
    "sasl.oauthbearer.jwt.validator.class" => Class,
        "org.apache.kafka.common.security.oauthbearer.DefaultJwtValidator",
        Any, ReadOnly, Refused(SECURITY),
        "Java class that checks tokens.";
    "sasl.oauthbearer.scope" => String, null, Any, ReadOnly, Refused(SECURITY),
        "Scope that is asked for.";
    "sasl.oauthbearer.scope.claim.name" => String, "scope", Any, ReadOnly, Refused(SECURITY),
        "Claim that holds the scope.";
    "sasl.oauthbearer.sub.claim.name" => String, "sub", Any, ReadOnly, Refused(SECURITY),
        "Claim that holds the subject.";
    "sasl.oauthbearer.token.endpoint.url" => String, null, Any, ReadOnly, Refused(SECURITY),
        "Where tokens are issued.";
    "sasl.server.callback.handler.class" => Class, null, Any, ReadOnly, Refused(SECURITY),
        "Java class that answers SASL callbacks of the broker.";
    "sasl.server.max.receive.size" => Int, "524288", Any, ReadOnly, Refused(SECURITY),
        "Largest SASL message before authentication is done.";
    "security.inter.broker.protocol" => String, "PLAINTEXT",
        OneOf(&["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"]), ReadOnly, Refused(SECURITY),
        "Security protocol between brokers.";
    "security.providers" => String, null, Any, ReadOnly, Refused(SECURITY),
        "Java classes that provide security algorithms.";
    "ssl.allow.dn.changes" => Boolean, "false", Any, ReadOnly, Refused(SECURITY),
        "Whether a new certificate may have another distinguished name.";
    "ssl.allow.san.changes" => Boolean, "false", Any, ReadOnly, Refused(SECURITY),
        "Whether a new certificate may have other alternative names.";
    "ssl.cipher.suites" => List, "", Any, PerBroker, Refused(SECURITY),
        "Cipher suites that may be negotiated.";
    "ssl.client.auth" => String, "none",
        OneOf(&["required", "requested", "none"]), PerBroker, Refused(SECURITY),
        "Whether clients must show a certificate.";
    "ssl.enabled.protocols" => List, "TLSv1.2,TLSv1.3", Any, PerBroker, Refused(SECURITY),
        "TLS versions that may be negotiated.";
    "ssl.endpoint.identification.algorithm" => String, "https", Any, PerBroker, Refused(SECURITY),
        "How a server's name is checked against its certificate.";
    "ssl.engine.factory.class" => Class, null, Any, PerBroker, Refused(SECURITY),
        "Java class that makes TLS engines.";
    "ssl.key.password" => Password, null, Any, PerBroker, Refused(SECURITY),
        "Password of the private key.";
    "ssl.keymanager.algorithm" => String, "SunX509", Any, PerBroker, Refused(SECURITY),
        "Algorithm of Java's key manager.";
    "ssl.keystore.certificate.chain" => Password, null, Any, PerBroker, Refused(SECURITY),
        "Certificate chain as text.";
    "ssl.keystore.key" => Password, null, Any, PerBroker, Refused(SECURITY),
        "Private key as text.";
    "ssl.keystore.location" => String, null, Any, PerBroker, Refused(SECURITY),
        "File of the key store.";
    "ssl.keystore.password" => Password, null, Any, PerBroker, Refused(SECURITY),
        "Password of the key store.";
    "ssl.keystore.type" => String, "JKS", Any, PerBroker, Refused(SECURITY),
        "Format of the key store.";
    "ssl.principal.mapping.rules" => String, "DEFAULT", Any, ReadOnly, Refused(SECURITY),
        "Rules from a distinguished name to a short name.";
    "ssl.protocol" => String, "TLSv1.3", Any, PerBroker, Refused(SECURITY),
        "TLS version of a new context.";
    "ssl.provider" => String, null, Any, PerBroker, Refused(SECURITY),
        "Java security provider of TLS.";
    "ssl.secure.random.implementation" => String, null, Any, PerBroker, Refused(SECURITY),
        "Java's random generator for TLS.";
    "ssl.trustmanager.algorithm" => String, "PKIX", Any, PerBroker, Refused(SECURITY),
        "Algorithm of Java's trust manager.";
    "ssl.truststore.certificates" => Password, null, Any, PerBroker, Refused(SECURITY),
        "Trusted certificates as text.";
    "ssl.truststore.location" => String, null, Any, PerBroker, Refused(SECURITY),
        "File of the trust store.";
    "ssl.truststore.password" => Password, null, Any, PerBroker, Refused(SECURITY),
        "Password of the trust store.";
    "ssl.truststore.type" => String, "JKS", Any, PerBroker, Refused(SECURITY),
        "Format of the trust store.";
};
