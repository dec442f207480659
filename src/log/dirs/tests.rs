use super::*;
use crate::protocol::ids::Offset;

fn open(paths: &[PathBuf], node_id: i32) -> anyhow::Result<Vec<LogDirectory>> {
    let owner = Owner { node_id: BrokerId(node_id), cluster_id: None };
    LogDirectory::open_all(paths, &owner, &Rng::seeded(1))
}

fn refusal(paths: &[PathBuf], node_id: i32) -> String {
    let error = format!("{:#}", open(paths, node_id).expect_err("must be refused"));
    assert!(!error.contains('\n'), "one line: {error}");
    assert!(
        paths.iter().any(|path| error.contains(&*path.to_string_lossy())),
        "names the directory: {error}"
    );
    error
}

#[test]
fn a_new_directory_is_formatted_and_known_at_the_next_start() {
    let root = tempfile::tempdir().expect("make a temporary directory");
    let paths = [root.path().join("a"), root.path().join("b/c")];
    let first = open(&paths, 1).expect("format");
    let ids: Vec<_> = first.iter().map(|directory| directory.id()).collect();
    let cluster_id = first[0].cluster_id().to_owned();
    assert_ne!(ids[0], ids[1]);
    drop(first);
    let second = open(&paths, 1).expect("open");
    assert_eq!(second.iter().map(|directory| directory.id()).collect::<Vec<_>>(), ids);
    assert!(second.iter().all(|directory| directory.cluster_id() == cluster_id));
    drop(second);
    assert!(refusal(&paths, 2).contains("belongs to node.id 1"));
}

#[test]
fn a_directory_in_use_is_refused() {
    let root = tempfile::tempdir().expect("make a temporary directory");
    let paths = [root.path().to_owned()];
    let _held = open(&paths, 1).expect("open");
    assert!(refusal(&paths, 1).contains("in use by another process"));
}

#[test]
fn somebody_elses_directory_is_refused_and_not_touched() {
    let root = tempfile::tempdir().expect("make a temporary directory");
    let paths = [root.path().to_owned()];
    std::fs::write(root.path().join("thesis.txt"), "chapter 1").expect("write");
    assert!(refusal(&paths, 1).contains("is not empty"));
    std::fs::write(root.path().join("meta.properties"), "version=1\nnode.id=1\ncluster.id=x\n")
        .expect("write");
    assert!(refusal(&paths, 1).contains("Apache Kafka"));
    assert_eq!(fs::list(root.path()).expect("list").len(), 2, "nothing was added");
}

#[test]
fn the_same_directory_twice_or_copied_is_refused() {
    let root = tempfile::tempdir().expect("make a temporary directory");
    let paths = [root.path().join("a"), root.path().join("b")];
    drop(open(&paths[..1], 1).expect("format"));
    std::fs::create_dir(&paths[1]).expect("create");
    std::fs::copy(paths[0].join("meta.properties"), paths[1].join("meta.properties")).expect("copy");
    assert!(refusal(&paths, 1).contains("same directory.id"));
}

#[test]
fn the_marker_of_a_clean_stop_counts_once() {
    let root = tempfile::tempdir().expect("make a temporary directory");
    let directory = open(&[root.path().to_owned()], 1).expect("open").remove(0);
    assert!(!directory.take_clean_shutdown().expect("take"));
    directory.mark_clean_shutdown(7).expect("mark");
    assert!(directory.take_clean_shutdown().expect("take"));
    assert!(!directory.take_clean_shutdown().expect("take"));
}

#[test]
fn checkpoints_are_read_back_and_a_damaged_one_is_empty() {
    let root = tempfile::tempdir().expect("make a temporary directory");
    let directory = open(&[root.path().to_owned()], 1).expect("open").remove(0);
    assert!(directory.read_offsets(OffsetCheckpoint::LogStart).expect("read").is_empty());
    let offsets = PartitionOffsets::from([(("t".to_owned(), PartitionIndex(3)), Offset(12))]);
    directory.write_offsets(OffsetCheckpoint::LogStart, &offsets).expect("write");
    assert_eq!(directory.read_offsets(OffsetCheckpoint::LogStart).expect("read"), offsets);
    std::fs::write(root.path().join("log-start-offset-checkpoint"), "0\n2\nt 3 12\n").expect("write");
    assert!(directory.read_offsets(OffsetCheckpoint::LogStart).expect("read").is_empty());
}

#[test]
fn partitions_and_deleted_directories_are_told_apart() {
    let root = tempfile::tempdir().expect("make a temporary directory");
    let directory = open(&[root.path().to_owned()], 1).expect("open").remove(0);
    for name in ["a-b-0", "a-12", "x-0.0123-delete", "nothing", "-5"] {
        std::fs::create_dir(root.path().join(name)).expect("create");
    }
    let topic_id = TopicId(Uuid::from_u128(5));
    std::fs::write(
        root.path().join("a-12/partition.metadata"),
        checkpoint::encode_partition_metadata(topic_id),
    )
    .expect("write");
    let partitions = directory.partitions().expect("list");
    let names: Vec<_> =
        partitions.iter().map(|partition| (partition.topic.as_str(), partition.partition.0)).collect();
    assert_eq!(names, [("a", 12), ("a-b", 0)]);
    assert_eq!((partitions[0].topic_id, partitions[1].topic_id), (Some(topic_id), None));
    assert_eq!(directory.deleted_directories().expect("list"), [root.path().join("x-0.0123-delete")]);
}
