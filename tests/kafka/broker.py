"""A Kafka cluster that is none of ours: the mock cluster of librdkafka, in this process, spoken to over
sockets. It parses and stores batches as brokers do; its consumer reads them back and checks their sums."""

import ctypes
import glob
import os

import confluent_kafka

PRODUCE = 0


def _load():
    folder = os.path.join(os.path.dirname(confluent_kafka.__file__), "..", "confluent_kafka.libs")
    (path,) = glob.glob(os.path.join(folder, "librdkafka*.so*"))
    library = ctypes.CDLL(path)
    for name, result, arguments in [
        ("rd_kafka_conf_new", ctypes.c_void_p, []),
        ("rd_kafka_conf_set", ctypes.c_int, [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_char_p, ctypes.c_char_p, ctypes.c_size_t]),
        ("rd_kafka_new", ctypes.c_void_p, [ctypes.c_int, ctypes.c_void_p, ctypes.c_char_p, ctypes.c_size_t]),
        ("rd_kafka_destroy", None, [ctypes.c_void_p]),
        ("rd_kafka_mock_cluster_new", ctypes.c_void_p, [ctypes.c_void_p, ctypes.c_int]),
        ("rd_kafka_mock_cluster_destroy", None, [ctypes.c_void_p]),
        ("rd_kafka_mock_cluster_bootstraps", ctypes.c_char_p, [ctypes.c_void_p]),
        ("rd_kafka_mock_topic_create", ctypes.c_int, [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_int, ctypes.c_int]),
        ("rd_kafka_mock_broker_set_down", ctypes.c_int, [ctypes.c_void_p, ctypes.c_int32]),
        ("rd_kafka_mock_broker_set_up", ctypes.c_int, [ctypes.c_void_p, ctypes.c_int32]),
        ("rd_kafka_mock_broker_set_rtt", ctypes.c_int, [ctypes.c_void_p, ctypes.c_int32, ctypes.c_int]),
        ("rd_kafka_mock_partition_set_leader", ctypes.c_int, [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_int32, ctypes.c_int32]),
    ]:
        function = getattr(library, name)
        function.restype, function.argtypes = result, arguments
    return library


class Cluster:
    def __init__(self, brokers=3):
        self.library, self.count = _load(), brokers
        error = ctypes.create_string_buffer(512)
        settings = self.library.rd_kafka_conf_new()
        assert self.library.rd_kafka_conf_set(settings, b"log_level", b"3", error, len(error)) == 0
        self.client = self.library.rd_kafka_new(0, settings, error, len(error))
        assert self.client, error.value
        self.cluster = self.library.rd_kafka_mock_cluster_new(self.client, brokers)
        assert self.cluster

    @property
    def brokers(self):
        return self.library.rd_kafka_mock_cluster_bootstraps(self.cluster).decode().split(",")

    def topic(self, name, partitions=4):
        assert self.library.rd_kafka_mock_topic_create(self.cluster, name.encode(), partitions, self.count) == 0
        return name

    def down(self):
        """Connections break, new ones are refused; what was acknowledged stays."""
        for broker in range(1, self.count + 1):
            assert self.library.rd_kafka_mock_broker_set_down(self.cluster, broker) == 0

    def up(self):
        for broker in range(1, self.count + 1):
            assert self.library.rd_kafka_mock_broker_set_up(self.cluster, broker) == 0

    def slow(self, milliseconds):
        """Requests are carried out at once, and answered so much later."""
        for broker in range(1, self.count + 1):
            assert self.library.rd_kafka_mock_broker_set_rtt(self.cluster, broker, milliseconds) == 0

    def lead(self, topic, partition, broker):
        assert self.library.rd_kafka_mock_partition_set_leader(self.cluster, topic.encode(), partition, broker) == 0

    def answer_produce_with(self, *codes):
        """The next requests get these codes, whoever is asked."""
        numbers = [ctypes.c_int(code) for code in codes]
        self.library.rd_kafka_mock_push_request_errors(
            ctypes.c_void_p(self.cluster), ctypes.c_int16(PRODUCE), ctypes.c_size_t(len(codes)), *numbers
        )

    def read(self, topic, partitions=4):
        """Every message of the topic, partition by partition, with its checksums checked."""
        consumer = confluent_kafka.Consumer(
            {
                "bootstrap.servers": ",".join(self.brokers),
                "group.id": "reader",
                "enable.partition.eof": True,
                "check.crcs": True,
                # What the cluster no longer has must not look like what never came.
                "auto.offset.reset": "error",
            }
        )
        consumer.assign([confluent_kafka.TopicPartition(topic, number, 0) for number in range(partitions)])
        messages, ended = [], set()
        try:
            while len(ended) < partitions:
                message = consumer.poll(20)
                assert message is not None, "the cluster does not answer"
                if message.error() is None:
                    messages.append(message)
                elif message.error().code() == confluent_kafka.KafkaError._PARTITION_EOF:
                    ended.add(message.partition())
                else:
                    raise AssertionError(message.error())
        finally:
            consumer.close()
        return messages

    def close(self):
        self.library.rd_kafka_mock_cluster_destroy(self.cluster)
        self.library.rd_kafka_destroy(self.client)
