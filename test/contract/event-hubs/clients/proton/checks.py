"""Runs every check with Qpid Proton and prints a JSON line for each: its name, and its failure or null.

  checks.py <host> <port> <key name> <key>
"""
import json
import sys

from proton import Described, Endpoint, LinkException, Message, Terminus, symbol, ulong
from proton.reactor import Filter, LinkOption
from proton.utils import BlockingConnection, LinkDetached

HOST, PORT, KEY_NAME, KEY = sys.argv[1:5]
TIMEOUT_SECONDS = 10
UNSETTLED, SETTLED, MIXED = 0, 1, 2
RECEIVE_FIRST, RECEIVE_SECOND = 0, 1


def connect(key=KEY):
    return BlockingConnection(
        f"amqp://{HOST}:{PORT}",
        timeout=TIMEOUT_SECONDS,
        user=KEY_NAME,
        password=key,
        allowed_mechs="PLAIN",
        sasl_enabled=True,
        allow_insecure_mechs=True,
    )


def source(hub, partition=0):
    return f"{hub}/ConsumerGroups/$default/Partitions/{partition}"


def equal(expected, actual, what="value"):
    if expected != actual:
        raise AssertionError(f"{what}: expected {expected!r}, and it is {actual!r}")


class Settles(LinkOption):
    """The settle modes that a link asks for."""

    def __init__(self, sender=None, receiver=None):
        self.sender, self.receiver = sender, receiver

    def apply(self, link):
        if self.sender is not None:
            link.snd_settle_mode = self.sender
        if self.receiver is not None:
            link.rcv_settle_mode = self.receiver


def send(connection, hub, *bodies, partition=0):
    sender = connection.create_sender(f"{hub}/Partitions/{partition}")
    for body in bodies:
        sender.send(Message(body=body))
    sender.close()


def read(connection, hub, count, options=None, credit=10):
    receiver = connection.create_receiver(source(hub), credit=credit, options=options)
    messages = []
    for _ in range(count):
        messages.append(receiver.receive(TIMEOUT_SECONDS))
        if receiver.fetcher.unsettled:
            receiver.accept()
    receiver.close()
    return messages


def sent_and_received(connection):
    send(connection, "proton-single", b"one", "two", {"three": 3})
    bodies = [message.body for message in read(connection, "proton-single", 3)]
    equal([b"one", "two", {"three": 3}], [bytes(bodies[0]), bodies[1], bodies[2]])


def annotations(connection):
    send(connection, "proton-annotated", b"one")
    (message,) = read(connection, "proton-annotated", 1)
    kinds = {str(name): type(value).__name__ for name, value in message.annotations.items()}
    equal(
        {"x-opt-sequence-number": "int", "x-opt-offset": "str", "x-opt-enqueued-time": "timestamp"},
        kinds,
        "annotations",
    )


def a_filter(connection):
    send(connection, "proton-filtered", b"0", b"1", b"2")
    selector = Filter(
        {
            symbol("apache.org:selector-filter:string"): described(
                "amqp.annotation.x-opt-sequence-number > '1'"
            )
        }
    )
    (message,) = read(connection, "proton-filtered", 1, options=selector)
    equal(b"2", bytes(message.body))


def described(text):
    return Described(ulong(0x468C00000004), text)


def unsettled_until_accepted(connection):
    send(connection, "proton-unsettled", b"one")
    receiver = connection.create_receiver(
        source("proton-unsettled"), credit=1, options=Settles(sender=UNSETTLED)
    )
    equal(UNSETTLED, receiver.link.remote_snd_settle_mode, "sender settle mode")
    receiver.receive(TIMEOUT_SECONDS)
    delivery = receiver.fetcher.unsettled[-1]
    equal(False, delivery.settled, "settled before it was accepted")
    receiver.accept()
    receiver.close()


def settled_at_once(connection):
    send(connection, "proton-settled", b"one")
    receiver = connection.create_receiver(
        source("proton-settled"), credit=1, options=Settles(sender=SETTLED)
    )
    equal(SETTLED, receiver.link.remote_snd_settle_mode, "sender settle mode")
    receiver.receive(TIMEOUT_SECONDS)
    receiver.close()


def settled_sends(connection):
    sender = connection.create_sender(
        "proton-fast/Partitions/0", options=[Settles(sender=SETTLED, receiver=RECEIVE_FIRST)]
    )
    equal(SETTLED, sender.link.remote_snd_settle_mode, "sender settle mode")
    for number in range(5):
        delivery = sender.link.send(Message(body=b"%d" % number))
        delivery.settle()
    bodies = [bytes(message.body) for message in read(connection, "proton-fast", 5)]
    equal([b"0", b"1", b"2", b"3", b"4"], bodies)


def refused(connection, create, condition, terminus):
    """The attach is answered without the terminus that is refused, and then detached with the reason."""
    try:
        link = create().link
    except LinkDetached as detached:
        equal(condition, str(detached.condition), "condition")
        link = detached.link
    except LinkException as error:
        raise AssertionError(f"refused in another way: {error}") from error
    else:
        connection.wait(lambda: link.state & Endpoint.REMOTE_CLOSED, msg="waiting for the detach")
        equal(condition, str(link.remote_condition.name), "condition")
    equal(Terminus.UNSPECIFIED, getattr(link, terminus).type, f"the answered {terminus}")


def refused_sender(connection):
    refused(
        connection,
        lambda: connection.create_sender("missing"),
        "amqp:not-found",
        "remote_target",
    )


def refused_receiver(connection):
    refused(
        connection,
        lambda: connection.create_receiver(source("missing"), credit=1),
        "amqp:not-found",
        "remote_source",
    )


def refused_partition(connection):
    refused(
        connection,
        lambda: connection.create_receiver(source("proton-single", 17), credit=1),
        "com.microsoft:argument-out-of-range",
        "remote_source",
    )


def management(connection):
    receiver = connection.create_receiver("$management", credit=1, name="proton-replies")
    sender = connection.create_sender("$management")
    sender.send(
        Message(
            id="request",
            reply_to="proton-replies",
            properties={
                "operation": "READ",
                "name": "proton-single",
                "type": "com.microsoft:eventhub",
            },
        )
    )
    answer = receiver.receive(TIMEOUT_SECONDS)
    equal(200, answer.properties["status-code"], "status")
    equal("request", answer.correlation_id, "correlation id")
    equal(4, answer.body["partition_count"], "partitions")


def a_wrong_key(_connection):
    try:
        connect(key="another").close()
    except Exception as error:  # Proton has no one class for it.
        if "Authentication failed" not in str(error):
            raise
        return
    raise AssertionError("it was let in")


def large(connection):
    body = bytes(range(256)) * 4_095
    send(connection, "proton-large", body)
    (message,) = read(connection, "proton-large", 1, credit=1)
    equal(True, bytes(message.body) == body, "the same bytes")


CHECKS = [
    sent_and_received,
    annotations,
    a_filter,
    unsettled_until_accepted,
    settled_at_once,
    settled_sends,
    refused_sender,
    refused_receiver,
    refused_partition,
    management,
    a_wrong_key,
    large,
]

for check in CHECKS:
    failure = None
    connection = connect()
    try:
        check(connection)
    except Exception as error:  # Whatever it is, it is the check's failure.
        failure = f"{type(error).__name__}: {error}"
    finally:
        connection.close()
    print(json.dumps({"check": check.__name__.replace("_", " "), "failure": failure}), flush=True)
