use super::*;
use crate::config::key::Kind;

/// A real broker's answers.
const KAFKA: &str = include_str!("kafka-4.4.tsv");

const ALL: Wanted = Wanted { names: None, synonyms: true, documentation: true };

fn owned(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect()
}

/// Runs `call` on layers that hold these pairs.
fn with_layers<T>(
    static_properties: &[(&str, &str)],
    cluster: &[(&str, &str)],
    broker: &[(&str, &str)],
    call: impl FnOnce(&Layers) -> T,
) -> T {
    let (static_properties, cluster, broker) = (owned(static_properties), owned(cluster), owned(broker));
    call(&Layers { static_properties: &static_properties, cluster: &cluster, broker: &broker })
}

/// `value; source:name=value ...` of one key.
fn shown(entries: &[Entry], name: &str) -> String {
    let entry = entries.iter().find(|entry| entry.name == name).expect("the key is described");
    let text = |value: &Option<String>| value.clone().unwrap_or_else(|| "(null)".to_owned());
    let mut words = vec![text(&entry.value), format!("from {:?}", entry.source)];
    for synonym in &entry.synonyms {
        words.push(format!("{:?}:{}={}", synonym.source, synonym.name, text(&synonym.value)));
    }
    words.join("; ")
}

#[test]
fn every_key_is_kafkas_and_none_is_missing() {
    let entries = with_layers(&[], &[], &[], |layers| {
        let none = BTreeMap::new();
        [
            ("broker", broker(layers, &ALL)),
            ("topic", topic(&none, layers, &ALL)),
            ("group", group(&none, layers, &ALL)),
            ("client_metrics", client_metrics(&none, &ALL)),
        ]
    });
    let mut count = 0;
    for line in KAFKA.lines().filter(|line| !line.starts_with('#')) {
        let fields: Vec<&str> = line.split('\t').collect();
        let [resource, name, kind, default, read_only, sensitive] = fields[..] else { panic!("{line}") };
        let (_, entries) = entries.iter().find(|(other, _)| *other == resource).expect("a known resource");
        let entry = entries.iter().find(|entry| entry.name == name).unwrap_or_else(|| panic!("{line}"));
        let kinds = [
            Kind::Boolean,
            Kind::String,
            Kind::Int,
            Kind::Short,
            Kind::Long,
            Kind::Double,
            Kind::List,
            Kind::Class,
            Kind::Password,
        ];
        let expected = kinds.iter().find(|other| other.name() == kind).expect("a known type");
        assert_eq!(entry.type_id, expected.wire_id(), "{line}");
        let value = entry.value.as_deref().unwrap_or(if default == "(none)" { "(none)" } else { "(null)" });
        assert_eq!(value, default, "{line}");
        assert_eq!((entry.read_only, entry.sensitive), (read_only == "true", sensitive == "true"), "{line}");
        assert_eq!(entry.source, Source::Default, "{line}");
        let sentence = entry.documentation.expect("was asked for");
        assert!(sentence.ends_with('.') && sentence.len() > 10, "{line}: {sentence}");
        count += 1;
    }
    assert_eq!(count, entries.iter().map(|(_, entries)| entries.len()).sum::<usize>());
}

#[test]
fn the_highest_layer_wins_and_the_others_follow() {
    let key = "log.cleaner.backoff.ms";
    with_layers(&[(key, "1")], &[(key, "2")], &[(key, " 3 ")], |layers| {
        assert_eq!(
            shown(&broker(layers, &ALL), key),
            "3; from DynamicBroker; DynamicBroker:log.cleaner.backoff.ms= 3 ; \
             DynamicDefaultBroker:log.cleaner.backoff.ms=2; StaticBroker:log.cleaner.backoff.ms=1; \
             Default:log.cleaner.backoff.ms=15000"
        );
        let expected = "2; from DynamicDefaultBroker; DynamicDefaultBroker:log.cleaner.backoff.ms=2";
        let entries = cluster_default(layers, &ALL);
        assert_eq!((entries.len(), shown(&entries, key).as_str()), (1, expected));
    });
}

#[test]
fn a_topic_shows_its_override_over_the_brokers_values() {
    with_layers(&[("message.max.bytes", "2000")], &[], &[], |layers| {
        let entries = topic(&owned(&[("max.message.bytes", "3000")]), layers, &ALL);
        assert_eq!(
            shown(&entries, "max.message.bytes"),
            "3000; from Topic; Topic:max.message.bytes=3000; StaticBroker:message.max.bytes=2000; \
             Default:message.max.bytes=1048588"
        );
        let entries = topic(&BTreeMap::new(), layers, &ALL);
        assert_eq!(
            shown(&entries, "max.message.bytes"),
            "2000; from StaticBroker; StaticBroker:message.max.bytes=2000; Default:message.max.bytes=1048588"
        );
        assert_eq!(shown(&entries, "remote.storage.enable"), "false; from Default");
    });
}

#[test]
fn a_key_in_hours_gives_the_value_but_no_synonym() {
    with_layers(&[("log.retention.hours", "1")], &[], &[], |layers| {
        let entries = topic(&BTreeMap::new(), layers, &ALL);
        assert_eq!(shown(&entries, "retention.ms"), "3600000; from Default");
        let entries = broker(layers, &ALL);
        assert_eq!(shown(&entries, "log.retention.ms"), "(null); from Default");
        assert!(shown(&entries, "log.retention.hours").starts_with("1; from StaticBroker; StaticBroker:"));
    });
}

#[test]
fn secrets_and_unknown_names_have_no_value() {
    let properties = [("ssl.key.password", "hunter2"), ("my.password", "hunter2")];
    with_layers(&properties, &[], &[], |layers| {
        for entry in broker(layers, &ALL) {
            let words = format!("{entry:?}");
            assert!(!words.contains("hunter2"), "{words}");
        }
        let entries = broker(layers, &ALL);
        assert_eq!(
            shown(&entries, "my.password"),
            "(null); from StaticBroker; StaticBroker:my.password=(null)"
        );
        let unknown = entries.iter().find(|entry| entry.name == "my.password").expect("is listed");
        assert!(unknown.sensitive && unknown.read_only && unknown.type_id == 0);
    });
}

#[test]
fn only_what_is_asked_for_is_answered() {
    with_layers(&[], &[], &[], |layers| {
        let names = ["num.partitions", "nothing"];
        let wanted = Wanted { names: Some(&names), synonyms: false, documentation: false };
        let entries = broker(layers, &wanted);
        assert_eq!(entries.len(), 1);
        assert!(entries[0].synonyms.is_empty() && entries[0].documentation.is_none());
        let all = Wanted { names: Some(&[]), ..wanted };
        assert_eq!(topic(&BTreeMap::new(), layers, &all).len(), 37);
    });
}

#[test]
fn groups_fall_back_to_the_broker_and_subscriptions_to_nothing() {
    with_layers(&[("group.consumer.session.timeout.ms", "50000")], &[], &[], |layers| {
        let entries = group(&owned(&[("share.isolation.level", "read_committed")]), layers, &ALL);
        assert_eq!(
            shown(&entries, "consumer.session.timeout.ms"),
            "50000; from StaticBroker; StaticBroker:group.consumer.session.timeout.ms=50000; \
             Default:group.consumer.session.timeout.ms=45000"
        );
        assert_eq!(
            shown(&entries, "share.isolation.level"),
            "read_committed; from Group; Group:share.isolation.level=read_committed; \
             Default:share.isolation.level=read_uncommitted"
        );
        assert_eq!(
            shown(&entries, "streams.assignor.name"),
            "sticky; from Default; Default:group.streams.assignors=sticky"
        );
        let entries = client_metrics(&owned(&[("interval.ms", "500")]), &ALL);
        assert_eq!(shown(&entries, "interval.ms"), "500; from ClientMetrics; ClientMetrics:interval.ms=500");
        assert_eq!(shown(&entries, "match"), "; from Default");
    });
}

#[test]
fn a_rate_that_no_file_can_set_is_listed_when_it_is_altered() {
    let key = "leader.replication.throttled.rate";
    with_layers(&[], &[], &[(key, "1000"), ("no.such.key", "1")], |layers| {
        let entries = broker(layers, &ALL);
        assert_eq!(shown(&entries, key), format!("1000; from DynamicBroker; DynamicBroker:{key}=1000"));
        assert_eq!(
            shown(&entries, "no.such.key"),
            "(null); from DynamicBroker; DynamicBroker:no.such.key=(null)"
        );
    });
}
