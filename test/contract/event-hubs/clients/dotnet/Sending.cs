using Azure.Core.Amqp;
using Azure.Messaging.EventHubs;
using Azure.Messaging.EventHubs.Consumer;
using Azure.Messaging.EventHubs.Producer;
using static EventHubs.Checks.World;

namespace EventHubs.Checks;

public static class Sending
{
    private const int LargeBytes = 1_048_400;

    public static IEnumerable<Check> Checks(World world) =>
    [
        new("an event of its own", () => AnEvent(world, "single", world.ConnectionString, EventHubsTransportType.AmqpTcp)),
        new("over WebSockets", () => AnEvent(world, "web-sockets", world.ConnectionString, EventHubsTransportType.AmqpWebSockets)),
        new("over TLS", () => AnEvent(world, "tls", world.TlsConnectionString, EventHubsTransportType.AmqpTcp)),
        new("over WebSockets and TLS", () => AnEvent(world, "wss", world.TlsConnectionString, EventHubsTransportType.AmqpWebSockets)),
        new("a batch with a key", () => ABatchWithAKey(world)),
        new("a batch with several keys one after another", () => SeveralKeys(world)),
        new("properties of every type", () => Properties(world)),
        new("value and sequence bodies", () => Bodies(world)),
        new("a large event", () => ALargeEvent(world)),
        new("too large an event", () => TooLarge(world)),
        new("concurrent first sends", () => ConcurrentSends(world)),
        new("the buffered producer", () => Buffered(world, "buffered", false)),
        new("the buffered producer with idempotent retries", () => Buffered(world, "idempotent", true)),
    ];

    private static async Task AnEvent(World world, string hub, string to, EventHubsTransportType transport)
    {
        await using var producer = world.Producer(hub, to, transport);
        await producer.SendAsync([new EventData("one")], To("0"));
        await using var consumer = world.Consumer(hub, to: to, transport: transport);
        var events = await Read(consumer, "0", EventPosition.Earliest, 1);
        Equal(["one"], events);
        Equal(0, events[0].SequenceNumber, "sequence number");
    }

    private static async Task ABatchWithAKey(World world)
    {
        await using var producer = world.Producer("keyed");
        using var batch = await producer.CreateBatchAsync(new CreateBatchOptions { PartitionKey = "a key ü" });
        foreach (var text in new[] { "a", "b", "c" })
            if (!batch.TryAdd(new EventData(text))) throw new CheckFailed("the batch is full");
        await producer.SendAsync(batch);
        await using var consumer = world.Consumer("keyed");
        var partition = await Holding(consumer);
        var events = await Read(consumer, partition, EventPosition.Earliest, 3);
        Equal(["a", "b", "c"], events);
        foreach (var one in events) Equal("a key ü", one.PartitionKey, "partition key");
    }

    private static async Task<string> Holding(EventHubConsumerClient consumer)
    {
        foreach (var id in await consumer.GetPartitionIdsAsync())
            if (!(await consumer.GetPartitionPropertiesAsync(id)).IsEmpty) return id;
        throw new CheckFailed("all partitions are empty");
    }

    private static async Task SeveralKeys(World world)
    {
        await using var producer = world.Producer("keys");
        foreach (var key in Enumerable.Range(0, 10).Select(number => $"key {number}"))
            await producer.SendAsync([new EventData(key)], new SendEventOptions { PartitionKey = key });
        await using var consumer = world.Consumer("keys");
        long count = 0;
        foreach (var id in await consumer.GetPartitionIdsAsync())
            count += (await consumer.GetPartitionPropertiesAsync(id)).LastEnqueuedSequenceNumber + 1;
        Equal(10, count, "events");
    }

    private static async Task Properties(World world)
    {
        var values = new Dictionary<string, object>
        {
            ["string"] = "ä\u0000\U0001F600",
            ["bool"] = true,
            ["byte"] = byte.MaxValue,
            ["sbyte"] = sbyte.MinValue,
            ["short"] = short.MinValue,
            ["ushort"] = ushort.MaxValue,
            ["int"] = int.MinValue,
            ["uint"] = uint.MaxValue,
            ["long"] = long.MinValue,
            ["ulong"] = ulong.MaxValue,
            ["float"] = 1.5f,
            ["double"] = double.Epsilon,
            ["decimal"] = 12345678901234567890.5m,
            ["char"] = 'ü',
            ["guid"] = Guid.NewGuid(),
            ["date"] = new DateTime(2026, 2, 28, 12, 30, 1, 2, DateTimeKind.Utc),
            ["uri"] = new Uri("https://example.com/a?b=c"),
            ["span"] = TimeSpan.FromMilliseconds(1.5),
        };
        var sent = new EventData("typed")
        {
            MessageId = "message",
            CorrelationId = "correlation",
            ContentType = "text/plain",
        };
        foreach (var (name, value) in values) sent.Properties[name] = value;
        await using var producer = world.Producer("typed");
        await producer.SendAsync([sent], To("0"));
        await producer.SendAsync([sent, sent], To("0"));
        foreach (var one in await world.Read("typed", "0", EventPosition.Earliest, 3))
        {
            Equal("message", one.MessageId, "message id");
            Equal("correlation", one.CorrelationId, "correlation id");
            Equal("text/plain", one.ContentType, "content type");
            foreach (var (name, value) in values) Equal(value, one.Properties[name], name);
        }
    }

    private static async Task Bodies(World world)
    {
        var value = new EventData(new BinaryData("unused"));
        value.GetRawAmqpMessage().Body = AmqpMessageBody.FromValue("a value");
        var sequence = new EventData(new BinaryData("unused"));
        sequence.GetRawAmqpMessage().Body = AmqpMessageBody.FromSequence([[1, "two"], [3L]]);
        await using var producer = world.Producer("bodies");
        await producer.SendAsync([value], To("0"));
        await producer.SendAsync([value, sequence], To("0"));
        var events = await world.Read("bodies", "0", EventPosition.Earliest, 3);
        foreach (var one in events.Take(2))
        {
            if (!one.GetRawAmqpMessage().Body.TryGetValue(out var got)) throw new CheckFailed("no value body");
            Equal<object?>("a value", got);
        }
        if (!events[2].GetRawAmqpMessage().Body.TryGetSequence(out var lists)) throw new CheckFailed("no sequence body");
        Equal("1,two;3", string.Join(";", lists!.Select(list => string.Join(",", list))));
    }

    private static async Task ALargeEvent(World world)
    {
        var body = new byte[LargeBytes];
        Random.Shared.NextBytes(body);
        await using var producer = world.Producer("large");
        await producer.SendAsync([new EventData(body)], To("0"));
        await producer.SendAsync([new EventData("after")], To("0"));
        var events = await world.Read("large", "0", EventPosition.Earliest, 2);
        Equal(true, events[0].EventBody.ToArray().AsSpan().SequenceEqual(body), "the same bytes");
        Equal("after", events[1].EventBody.ToString());
    }

    private static async Task TooLarge(World world)
    {
        await using var producer = world.Producer("large");
        await ThrowsReason(
            EventHubsException.FailureReason.MessageSizeExceeded,
            () => producer.SendAsync([new EventData(new byte[1024 * 1024 + 1])], To("1")));
    }

    private static async Task ConcurrentSends(World world)
    {
        await using var producer = world.Producer("concurrent");
        await Task.WhenAll(Enumerable.Range(0, 16).Select(number =>
            producer.SendAsync([new EventData($"{number}")], number % 2 == 0 ? To($"{number % 4}") : new SendEventOptions())));
        await using var consumer = world.Consumer("concurrent");
        long count = 0;
        foreach (var id in await consumer.GetPartitionIdsAsync())
            count += (await consumer.GetPartitionPropertiesAsync(id)).LastEnqueuedSequenceNumber + 1;
        Equal(16, count, "events");
    }

    private static async Task Buffered(World world, string hub, bool isIdempotent)
    {
        const int wanted = 500;
        var failures = new List<Exception>();
        var sent = 0;
        var producer = new EventHubBufferedProducerClient(world.ConnectionString, hub,
            new EventHubBufferedProducerClientOptions
            {
                RetryOptions = Retry,
                EnableIdempotentRetries = isIdempotent,
                MaximumWaitTime = TimeSpan.FromMilliseconds(50),
            });
        producer.SendEventBatchSucceededAsync += args =>
        {
            Interlocked.Add(ref sent, args.EventBatch.Count);
            return Task.CompletedTask;
        };
        producer.SendEventBatchFailedAsync += args =>
        {
            lock (failures) failures.Add(args.Exception);
            return Task.CompletedTask;
        };
        foreach (var number in Enumerable.Range(0, wanted))
            await producer.EnqueueEventAsync(new EventData($"{number}"));
        await producer.FlushAsync();
        await producer.CloseAsync();
        if (failures.Count > 0) throw failures[0];
        Equal(wanted, sent, "sent");
        await using var consumer = world.Consumer(hub);
        long count = 0;
        foreach (var id in await consumer.GetPartitionIdsAsync())
            count += (await consumer.GetPartitionPropertiesAsync(id)).LastEnqueuedSequenceNumber + 1;
        Equal(wanted, count, "events in the hub");
    }
}
