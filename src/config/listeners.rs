//! Listeners: where to listen, what to tell clients, and which protocol each speaks (`SocketServerConfigs`).
//!
//! Pure text work: nothing is resolved or bound. A host may be a name, an IPv4 address or an IPv6 address in
//! brackets. This build speaks PLAINTEXT only and says so when a listener asks for more.

use crate::config::broker::Values;
use crate::config::key::ConfigError;

/// One address to listen on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listener {
    pub name: String,
    /// Without brackets; `None` is every interface. `localhost` means its IPv4 and its IPv6 address.
    pub host: Option<String>,
    /// 0 lets the kernel choose.
    pub port: u16,
    /// Its name stands in `controller.listener.names`.
    pub controller: bool,
}

/// One address that clients are told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AdvertisedListener {
    pub name: String,
    /// `None` when the listener is on every interface: the machine's host name is meant.
    pub host: Option<String>,
    /// 0 when the kernel chose the listener's port: that port is meant.
    pub port: u16,
}

/// What the listener keys say together.
pub(crate) struct Listeners {
    pub listeners: Vec<Listener>,
    pub advertised: Vec<AdvertisedListener>,
    pub inter_broker: String,
}

/// A parsed `NAME://host:port`.
struct Endpoint {
    name: String,
    host: Option<String>,
    port: u16,
}

impl Listeners {
    pub(crate) fn read(values: &Values) -> Result<Listeners, ConfigError> {
        let controller_names: Vec<String> =
            values.typed::<Option<Vec<String>>>("controller.listener.names")?.unwrap_or_default();
        let endpoints = endpoints(values, "listeners")?.unwrap_or_default();
        check_protocols(values, &endpoints, &controller_names)?;
        check_ports(&endpoints)?;
        if let Some(name) =
            controller_names.iter().find(|name| !endpoints.iter().any(|endpoint| endpoint.name == **name))
        {
            return Err(ConfigError::invalid(
                "controller.listener.names",
                name,
                "controller.listener.names must only contain values appearing in the 'listeners' \
                 configuration when running the KRaft controller role",
            ));
        }
        let listeners: Vec<Listener> = endpoints
            .into_iter()
            .map(|Endpoint { name, host, port }| {
                let controller = controller_names.contains(&name);
                Listener { name, host, port, controller }
            })
            .collect();
        let advertised = advertised(values, &listeners)?;
        let inter_broker = inter_broker(values, &advertised)?;
        Ok(Listeners { listeners, advertised, inter_broker })
    }
}

/// `None` when the key is not set and has no default.
fn endpoints(values: &Values, key: &str) -> Result<Option<Vec<Endpoint>>, ConfigError> {
    let Some(texts) = values.typed::<Option<Vec<String>>>(key)? else { return Ok(None) };
    let mut endpoints: Vec<Endpoint> = Vec::with_capacity(texts.len());
    for text in &texts {
        let endpoint = parse(text).ok_or_else(|| {
            let allowed = "a listener is written NAME://host:port, with the port from 0 to 65535";
            ConfigError::invalid(key, text, allowed)
        })?;
        // One name on an IPv4 and an IPv6 address of the same port is Kafka's one exception.
        let same_name = endpoints.iter().any(|other| {
            other.name == endpoint.name
                && (other.port != endpoint.port || is_ipv6(other) == is_ipv6(&endpoint))
        });
        if same_name {
            return Err(ConfigError::invalid(
                key,
                texts.join(","),
                "Each listener must have a different name",
            ));
        }
        endpoints.push(endpoint);
    }
    Ok(Some(endpoints))
}

fn parse(text: &str) -> Option<Endpoint> {
    let (name, address) = text.split_once("://")?;
    let (host, port) = address.rsplit_once(':')?;
    let host = match host.strip_prefix('[') {
        Some(rest) => rest.strip_suffix(']')?,
        None => host,
    };
    let sane = |byte: u8| byte.is_ascii_alphanumeric() || b"-%._:".contains(&byte);
    let named =
        !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte));
    if !named || !host.bytes().all(sane) {
        return None;
    }
    Some(Endpoint {
        name: name.to_uppercase(),
        host: (!host.is_empty()).then(|| host.to_owned()),
        port: port.parse().ok()?,
    })
}

fn is_ipv6(endpoint: &Endpoint) -> bool {
    endpoint.host.as_deref().is_some_and(|host| host.contains(':'))
}

fn check_ports(endpoints: &[Endpoint]) -> Result<(), ConfigError> {
    for (index, endpoint) in endpoints.iter().enumerate() {
        let clash = endpoints[..index].iter().find(|other| {
            endpoint.port != 0 && other.port == endpoint.port && is_ipv6(other) == is_ipv6(endpoint)
        });
        if clash.is_some() {
            let allowed =
                "Each listener must have a different port, unless one is on IPv4 and the other on IPv6";
            return Err(ConfigError::invalid("listeners", endpoint.port, allowed));
        }
    }
    Ok(())
}

/// Every listener has a protocol, and it is PLAINTEXT.
fn check_protocols(
    values: &Values,
    endpoints: &[Endpoint],
    controller_names: &[String],
) -> Result<(), ConfigError> {
    const KEY: &str = "listener.security.protocol.map";
    let text: String = values.typed(KEY)?;
    let mut protocols: Vec<(String, String)> = Vec::new();
    for pair in text.split(',').map(str::trim).filter(|pair| !pair.is_empty()) {
        let (name, protocol) = pair.split_once(':').ok_or_else(|| {
            ConfigError::invalid(KEY, &text, "a comma-separated list of NAME:PROTOCOL pairs")
        })?;
        let protocol = protocol.trim().to_uppercase();
        if !["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"].contains(&protocol.as_str()) {
            let allowed = "a protocol is one of PLAINTEXT, SSL, SASL_PLAINTEXT, SASL_SSL";
            return Err(ConfigError::invalid(KEY, pair, allowed));
        }
        protocols.push((name.trim().to_uppercase(), protocol));
    }
    for endpoint in endpoints {
        match protocols.iter().find(|(name, _)| *name == endpoint.name) {
            Some((_, protocol)) if protocol == "PLAINTEXT" => {}
            Some((name, protocol)) => {
                let reason =
                    format!("listener {name} would speak {protocol}, and only PLAINTEXT is built in");
                return Err(ConfigError::refused(KEY, &text, reason));
            }
            // As in KRaft mode of Kafka: without a map of one's own, controllers speak PLAINTEXT.
            None if values.text(KEY).is_none() && controller_names.contains(&endpoint.name) => {}
            None => {
                let allowed = format!("No security protocol defined for listener {}", endpoint.name);
                return Err(ConfigError::invalid(KEY, &text, allowed));
            }
        }
    }
    Ok(())
}

fn advertised(values: &Values, listeners: &[Listener]) -> Result<Vec<AdvertisedListener>, ConfigError> {
    const KEY: &str = "advertised.listeners";
    let advertised: Vec<AdvertisedListener> = match endpoints(values, KEY)? {
        None => listeners
            .iter()
            .filter(|listener| !listener.controller)
            .map(|Listener { name, host, port, .. }| {
                // The addresses that mean "every interface" cannot be connected to.
                let host = host.clone().filter(|host| host != "0.0.0.0" && host != "::");
                AdvertisedListener { name: name.clone(), host, port: *port }
            })
            .collect(),
        Some(endpoints) => endpoints
            .into_iter()
            .filter(|endpoint| {
                !listeners.iter().any(|listener| listener.controller && listener.name == endpoint.name)
            })
            .map(|Endpoint { name, host, port }| AdvertisedListener { name, host, port })
            .collect(),
    };
    if advertised.is_empty() {
        return Err(ConfigError::Conflict(
            "There must be at least one broker advertised listener. Perhaps all listeners appear in \
             controller.listener.names?"
                .to_owned(),
        ));
    }
    for endpoint in &advertised {
        if endpoint.host.as_deref() == Some("0.0.0.0") {
            let allowed = "advertised.listeners cannot use the nonroutable meta-address 0.0.0.0. Use a \
                           routable IP address.";
            return Err(ConfigError::invalid(KEY, "0.0.0.0", allowed));
        }
        if !listeners.iter().any(|listener| listener.name == endpoint.name) {
            let names: Vec<&str> = listeners.iter().map(|listener| listener.name.as_str()).collect();
            let allowed = format!(
                "advertised.listeners listener names must be equal to or a subset of the ones defined in \
                 listeners: {}",
                names.join(",")
            );
            return Err(ConfigError::invalid(KEY, &endpoint.name, allowed));
        }
    }
    Ok(advertised)
}

/// `inter.broker.listener.name`, else the first listener that is advertised.
fn inter_broker(values: &Values, advertised: &[AdvertisedListener]) -> Result<String, ConfigError> {
    const KEY: &str = "inter.broker.listener.name";
    let Some(name) = values.typed::<Option<String>>(KEY)? else {
        // Kafka takes the listener of security.inter.broker.protocol, which is PLAINTEXT, and asks for
        // this key when no listener has that name; the first one is as good here.
        let plaintext = advertised.iter().find(|listener| listener.name == "PLAINTEXT");
        let chosen = plaintext.or(advertised.first());
        return Ok(chosen.map(|listener| listener.name.clone()).unwrap_or_default());
    };
    let name = name.to_uppercase();
    if advertised.iter().any(|listener| listener.name == name) {
        return Ok(name);
    }
    let names: Vec<&str> = advertised.iter().map(|listener| listener.name.as_str()).collect();
    let allowed = format!(
        "inter.broker.listener.name must be a listener name defined in advertised.listeners. The valid \
         options based on currently configured listeners are {}",
        names.join(",")
    );
    Err(ConfigError::invalid(KEY, name, allowed))
}

#[cfg(test)]
mod tests;
