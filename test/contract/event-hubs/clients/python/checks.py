"""Runs every check with azure-eventhub (pyamqp) and prints a JSON line for each: its name, and its failure or null.

  checks.py <connection string> <port> <certificate authority file>

Version 5.11 knows neither the port of a connection string nor a connection without TLS: the port
of a custom endpoint is taken, over WebSockets.
"""
import json
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

from azure.eventhub import EventData, EventHubConsumerClient, EventHubProducerClient
from azure.eventhub.exceptions import EventHubError

CONNECTION_STRING, PORT, AUTHORITY_FILE = sys.argv[1:4]
TIMEOUT_SECONDS = 10


def client(kind, hub, **options):
    return kind.from_connection_string(
        # Without its port, which would stand in the address that the token is for.
        CONNECTION_STRING.replace(f":{PORT}", ""),
        eventhub_name=hub,
        custom_endpoint_address=f"sb://localhost:{PORT}",
        connection_verify=AUTHORITY_FILE,
        retry_total=0,
        **options,
    )


def equal(expected, actual, what="value"):
    if expected != actual:
        raise AssertionError(f"{what}: expected {expected!r}, and it is {actual!r}")


def send(hub, bodies, **options):
    with client(EventHubProducerClient, hub) as producer:
        batch = producer.create_batch(**options)
        for body in bodies:
            batch.add(EventData(body))
        producer.send_batch(batch, timeout=TIMEOUT_SECONDS)


def read(hub, count, partition="0", position="-1", inclusive=False):
    events, errors, enough = [], [], threading.Event()
    consumer = client(EventHubConsumerClient, hub, consumer_group="$default")

    def on_event(_, event):
        events.append(event)
        if len(events) >= count:
            enough.set()

    def on_error(_, error):
        errors.append(error)
        enough.set()

    def receive():
        consumer.receive(
            on_event,
            on_error=on_error,
            partition_id=partition,
            starting_position=position,
            starting_position_inclusive=inclusive,
        )

    threading.Thread(target=receive, daemon=True).start()
    arrived = enough.wait(TIMEOUT_SECONDS)
    consumer.close()
    if errors:
        raise errors[0]
    if not arrived:
        raise AssertionError(f"{len(events)} of {count} events in {TIMEOUT_SECONDS} s")
    return events


def refused(act, words):
    try:
        act()
    except EventHubError as error:
        if words in str(error):
            return
        raise AssertionError(f"the error is {error}") from error
    raise AssertionError("there is no error")


def sent_and_received():
    send("python-single", ["a", "b", "c"], partition_id="0")
    events = read("python-single", 3)
    equal(["a", "b", "c"], [event.body_as_str() for event in events])
    equal([0, 1, 2], [event.sequence_number for event in events])


def from_positions():
    send("python-positions", ["a", "b", "c"], partition_id="0")
    offset = read("python-positions", 3)[1].offset
    first = lambda **where: read("python-positions", 1, **where)[0].body_as_str()
    equal("c", first(position=offset), "after an offset")
    equal("b", first(position=offset, inclusive=True), "from an offset")
    equal("c", first(position=1), "after a sequence number")
    equal("b", first(position=1, inclusive=True), "from a sequence number")


def properties():
    send("python-properties", ["a", "b"], partition_id="1")
    with client(EventHubProducerClient, "python-properties") as producer:
        hub = producer.get_eventhub_properties()
        partition = producer.get_partition_properties("1")
    equal(["0", "1", "2", "3"], hub["partition_ids"])
    equal([0, 1, False], [partition[name] for name in (
        "beginning_sequence_number", "last_enqueued_sequence_number", "is_empty")])


def application_properties():
    event = EventData(b"bytes")
    event.properties = {"text": "x", "number": 7}
    with client(EventHubProducerClient, "python-annotated") as producer:
        producer.send_batch([event], partition_id="0", timeout=TIMEOUT_SECONDS)
    (received,) = read("python-annotated", 1)
    equal({b"text": b"x", b"number": 7}, received.properties)


def partition_key():
    send("python-key", ["a"], partition_key="flight 7")
    send("python-key", ["b"], partition_key="flight 7")
    with client(EventHubProducerClient, "python-key") as producer:
        counts = {
            partition: producer.get_partition_properties(partition)["last_enqueued_sequence_number"] + 1
            for partition in producer.get_partition_ids()
        }
    (partition,) = [name for name, count in counts.items() if count > 0]
    events = read("python-key", 2, partition=partition)
    equal([b"flight 7"] * 2, [event.partition_key for event in events])


def unknown_hub():
    refused(lambda: send("python-nowhere", ["a"]), "could not be found")


def large_event():
    body = "x" * 1_048_000
    send("python-large", [body], partition_id="0")
    equal(len(body), len(read("python-large", 1)[0].body_as_str()))


CHECKS = [
    sent_and_received,
    from_positions,
    properties,
    application_properties,
    partition_key,
    unknown_hub,
    large_event,
]


def result(check):
    failure = None
    try:
        check()
    except Exception as error:  # every failure is a result
        failure = f"{type(error).__name__}: {error}"
    return {"check": check.__name__, "failure": failure}


# Side by side, each with a hub of its own: the SDK sleeps for most of the time.
with ThreadPoolExecutor(len(CHECKS)) as executor:
    for outcome in executor.map(result, CHECKS):
        print(json.dumps(outcome), flush=True)
