import java.util.ArrayList;
import java.util.Collection;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.concurrent.ExecutionException;
import java.util.stream.Collectors;
import org.apache.kafka.clients.admin.AdminClient;
import org.apache.kafka.clients.admin.Config;
import org.apache.kafka.clients.admin.ConfigEntry;
import org.apache.kafka.clients.admin.NewPartitions;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.admin.TopicDescription;
import org.apache.kafka.common.TopicPartitionInfo;
import org.apache.kafka.common.acl.AclBindingFilter;
import org.apache.kafka.common.config.ConfigResource;

/**
 * Topics by the admin client of a release whose kafka-topics, kafka-configs and kafka-acls need ZooKeeper.
 *
 * Usage: TopicAdmin --bootstrap-server HOST:PORT create TOPIC PARTITIONS FACTOR [KEY=VALUE...]
 *        TopicAdmin --bootstrap-server HOST:PORT list | cluster | acls
 *        TopicAdmin --bootstrap-server HOST:PORT describe TOPIC | delete TOPIC | partitions TOPIC COUNT
 *        TopicAdmin --bootstrap-server HOST:PORT configs topic|broker NAME | alter topic|broker NAME [KEY=VALUE...]
 *
 * Of the configurations those that are set for the topic or broker itself are printed. What is refused is printed by the class and the text of
 * the error, and ends the call with the exception as a tool would.
 */
public final class TopicAdmin {
    private TopicAdmin() {
    }

    public static void main(String[] args) throws Exception {
        Properties properties = new Properties();
        properties.put("bootstrap.servers", args[1]);
        try (AdminClient admin = AdminClient.create(properties)) {
            call(admin, args[2], List.of(args).subList(3, args.length));
        } catch (ExecutionException error) {
            System.out.println(error.getCause().getClass().getName() + ": " + error.getCause().getMessage());
            throw error;
        }
    }

    private static void call(AdminClient admin, String action, List<String> args) throws Exception {
        switch (action) {
            case "create" -> {
                NewTopic topic = new NewTopic(args.get(0), Integer.parseInt(args.get(1)), Short.parseShort(args.get(2)));
                topic.configs(pairs(args.subList(3, args.size())));
                admin.createTopics(List.of(topic)).all().get();
            }
            case "list" -> new TreeSet<>(admin.listTopics().names().get()).forEach(System.out::println);
            case "cluster" -> System.out.println(admin.describeCluster().nodes().get().size() + " nodes");
            case "acls" -> System.out.println(admin.describeAcls(AclBindingFilter.ANY).values().get());
            case "describe" -> describe(admin.describeTopics(args).all().get());
            case "delete" -> admin.deleteTopics(args).all().get();
            case "partitions" -> {
                NewPartitions partitions = NewPartitions.increaseTo(Integer.parseInt(args.get(1)));
                admin.createPartitions(Map.of(args.get(0), partitions)).all().get();
            }
            case "configs" -> show(admin.describeConfigs(List.of(resource(args))).all().get().values());
            case "alter" -> {
                List<ConfigEntry> entries = new ArrayList<>();
                pairs(args.subList(2, args.size())).forEach((key, value) -> entries.add(new ConfigEntry(key, value)));
                admin.alterConfigs(Map.of(resource(args), new Config(entries))).all().get();
            }
            default -> throw new IllegalArgumentException(action + " is no action of the topic admin");
        }
        System.out.println(action + " done");
    }

    private static Map<String, String> pairs(List<String> texts) {
        Map<String, String> pairs = new HashMap<>();
        for (String text : texts) {
            String[] pair = text.split("=", 2);
            pairs.put(pair[0], pair[1]);
        }
        return pairs;
    }

    private static ConfigResource resource(List<String> args) {
        return new ConfigResource(args.get(0).equals("topic") ? ConfigResource.Type.TOPIC : ConfigResource.Type.BROKER, args.get(1));
    }

    private static void describe(Map<String, TopicDescription> topics) {
        new TreeMap<>(topics).forEach((name, topic) -> {
            System.out.println(name + (topic.isInternal() ? " (internal)" : ""));
            for (TopicPartitionInfo partition : topic.partitions()) {
                String leader = partition.leader() == null ? "none" : partition.leader().idString();
                System.out.println("  " + partition.partition() + " leader " + leader + " replicas " + ids(partition.replicas()) + " isr " + ids(partition.isr()));
            }
        });
    }

    private static String ids(List<org.apache.kafka.common.Node> nodes) {
        return nodes.stream().map(node -> node.idString()).collect(Collectors.joining(","));
    }

    private static void show(Collection<Config> configs) {
        for (Config config : configs) {
            config.entries().stream().filter(TopicAdmin::isOwn).map(TopicAdmin::text).sorted().forEach(System.out::println);
        }
    }

    private static boolean isOwn(ConfigEntry entry) {
        ConfigEntry.ConfigSource source = entry.source();
        return source == ConfigEntry.ConfigSource.DYNAMIC_TOPIC_CONFIG || source == ConfigEntry.ConfigSource.DYNAMIC_BROKER_CONFIG;
    }

    private static String text(ConfigEntry entry) {
        return "  " + entry.name() + "=" + entry.value() + (entry.isReadOnly() ? " (read-only)" : "") + (entry.isSensitive() ? " (sensitive)" : "");
    }
}
