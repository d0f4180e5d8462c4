using System.Collections.Concurrent;
using Azure.Messaging.EventHubs;
using Azure.Messaging.EventHubs.Consumer;
using Azure.Messaging.EventHubs.Primitives;
using Azure.Messaging.EventHubs.Processor;
using static EventHubs.Checks.World;

namespace EventHubs.Checks;

public static class Receiving
{
    public static IEnumerable<Check> Checks(World world) =>
    [
        new("positions", () => Positions(world)),
        new("the newest position", () => Newest(world)),
        new("what was enqueued last", () => LastEnqueued(world)),
        new("properties of a hub and of a partition", () => Management(world)),
        new("a partition receiver without prefetching", () => WithoutPrefetch(world)),
        new("an event processor", () => Processor(world)),
        new("a higher owner level takes over", () => HigherLevel(world)),
        new("the same owner level takes over", () => SameLevel(world)),
    ];

    private static async Task Positions(World world)
    {
        await world.Send("positions", "0", "0", "1", "2", "3");
        await Task.Delay(20);
        await world.Send("positions", "0", "4", "5");
        var all = await world.Read("positions", "0", EventPosition.Earliest, 6);
        Equal(["0", "1", "2", "3", "4", "5"], all);
        async Task First(string expected, EventPosition from)
        {
            var events = await world.Read("positions", "0", from, 1);
            Equal(expected, events[0].EventBody.ToString(), from.ToString());
        }
        await First("2", EventPosition.FromSequenceNumber(all[2].SequenceNumber));
        await First("3", EventPosition.FromSequenceNumber(all[2].SequenceNumber, isInclusive: false));
        await First("2", EventPosition.FromOffset(all[2].OffsetString));
        await First("3", EventPosition.FromOffset(all[2].OffsetString, isInclusive: false));
        // What was enqueued at the time itself does not count, for the service neither.
        await First("4", EventPosition.FromEnqueuedTime(all[4].EnqueuedTime - TimeSpan.FromMilliseconds(1)));
    }

    private static async Task Newest(World world)
    {
        await world.Send("newest", "0", "before");
        await using var receiver = new PartitionReceiver(
            EventHubConsumerClient.DefaultConsumerGroupName, "0", EventPosition.Latest, world.ConnectionString, "newest",
            new PartitionReceiverOptions { RetryOptions = Retry });
        Equal(0, (await receiver.ReceiveBatchAsync(10, TimeSpan.FromMilliseconds(200))).Count());
        await world.Send("newest", "0", "after");
        Equal(["after"], await receiver.ReceiveBatchAsync(10, TimeSpan.FromSeconds(5)));
    }

    private static async Task LastEnqueued(World world)
    {
        await world.Send("metric", "0", "a", "b", "c");
        await using var consumer = world.Consumer("metric");
        await foreach (var one in consumer.ReadEventsFromPartitionAsync(
            "0", EventPosition.Earliest, new ReadEventOptions { TrackLastEnqueuedEventProperties = true }))
        {
            Equal(2, one.Partition.ReadLastEnqueuedEventProperties().SequenceNumber ?? -1, "last sequence number");
            break;
        }
    }

    private static async Task Management(World world)
    {
        await world.Send("managed", "1", "a", "b");
        await using var consumer = world.Consumer("managed");
        var hub = await consumer.GetEventHubPropertiesAsync();
        Equal("managed", hub.Name, "name");
        Equal("0,1,2,3", string.Join(",", hub.PartitionIds), "partitions");
        var filled = await consumer.GetPartitionPropertiesAsync("1");
        Equal(1, filled.LastEnqueuedSequenceNumber, "last sequence number");
        Equal(0, filled.BeginningSequenceNumber, "first sequence number");
        Equal(false, filled.IsEmpty, "is empty");
        Equal(true, (await consumer.GetPartitionPropertiesAsync("2")).IsEmpty, "is empty");
    }

    private static async Task WithoutPrefetch(World world)
    {
        await world.Send("unfetched", "0", [.. Enumerable.Range(0, 20).Select(number => $"{number}")]);
        await using var receiver = new PartitionReceiver(
            EventHubConsumerClient.DefaultConsumerGroupName, "0", EventPosition.Earliest, world.ConnectionString, "unfetched",
            new PartitionReceiverOptions { RetryOptions = Retry, PrefetchCount = 0 });
        var got = new List<EventData>();
        while (got.Count < 20) got.AddRange(await receiver.ReceiveBatchAsync(3, TimeSpan.FromSeconds(5)));
        Equal(Enumerable.Range(0, 20).Select(number => $"{number}"), got);
    }

    private static async Task Processor(World world)
    {
        foreach (var partition in new[] { "0", "1", "2", "3" }) await world.Send("processed", partition, "a", "b");
        var processor = new MemoryProcessor(world.ConnectionString, "processed");
        await processor.StartProcessingAsync();
        for (var waits = 0; processor.Seen.Count < 8 && waits < 200; waits += 1) await Task.Delay(100);
        await processor.StopProcessingAsync();
        if (!processor.Failures.IsEmpty) throw processor.Failures.First();
        Equal("0a,0b,1a,1b,2a,2b,3a,3b", string.Join(",", processor.Seen.Order()), "events");
    }

    private static Task HigherLevel(World world) => TakeOver(world, "level", 1, 2);

    private static Task SameLevel(World world) => TakeOver(world, "same-level", 1, 1);

    private static async Task TakeOver(World world, string hub, long first, long second)
    {
        await world.Send(hub, "0", "a");
        PartitionReceiver With(long level) => new(
            EventHubConsumerClient.DefaultConsumerGroupName, "0", EventPosition.Earliest, world.ConnectionString, hub,
            new PartitionReceiverOptions { RetryOptions = Retry, OwnerLevel = level });
        await using var old = With(first);
        Equal(["a"], await old.ReceiveBatchAsync(1, TimeSpan.FromSeconds(5)));
        await using var taking = With(second);
        Equal(["a"], await taking.ReceiveBatchAsync(1, TimeSpan.FromSeconds(5)));
        await ThrowsReason(EventHubsException.FailureReason.ConsumerDisconnected, async () =>
        {
            for (var tries = 0; tries < 10; tries += 1) await old.ReceiveBatchAsync(1, TimeSpan.FromMilliseconds(500));
        });
        if (second == first) return;
        await using var lower = With(first);
        await ThrowsReason(
            EventHubsException.FailureReason.ConsumerDisconnected,
            () => lower.ReceiveBatchAsync(1, TimeSpan.FromSeconds(2)));
    }

    /// <summary>A processor alone, whose ownership and checkpoints are in memory.</summary>
    private sealed class MemoryProcessor(string connectionString, string hub) : EventProcessor<EventProcessorPartition>(
        10, EventHubConsumerClient.DefaultConsumerGroupName, connectionString, hub,
        new EventProcessorOptions
        {
            RetryOptions = Retry,
            DefaultStartingPosition = EventPosition.Earliest,
            LoadBalancingStrategy = LoadBalancingStrategy.Greedy,
            LoadBalancingUpdateInterval = TimeSpan.FromMilliseconds(500),
            PartitionOwnershipExpirationInterval = TimeSpan.FromSeconds(20),
            MaximumWaitTime = TimeSpan.FromSeconds(1),
        })
    {
        private readonly ConcurrentDictionary<string, EventProcessorPartitionOwnership> ownership = new();

        public ConcurrentQueue<string> Seen { get; } = new();
        public ConcurrentQueue<Exception> Failures { get; } = new();

        protected override Task OnProcessingEventBatchAsync(
            IEnumerable<EventData> events, EventProcessorPartition partition, CancellationToken cancellation)
        {
            foreach (var one in events) Seen.Enqueue($"{partition.PartitionId}{one.EventBody}");
            return Task.CompletedTask;
        }

        protected override Task OnProcessingErrorAsync(
            Exception exception, EventProcessorPartition? partition, string operation, CancellationToken cancellation)
        {
            Failures.Enqueue(exception);
            return Task.CompletedTask;
        }

        protected override Task<IEnumerable<EventProcessorPartitionOwnership>> ListOwnershipAsync(CancellationToken cancellation) =>
            Task.FromResult<IEnumerable<EventProcessorPartitionOwnership>>([.. ownership.Values]);

        protected override Task<IEnumerable<EventProcessorPartitionOwnership>> ClaimOwnershipAsync(
            IEnumerable<EventProcessorPartitionOwnership> wanted, CancellationToken cancellation)
        {
            var claimed = wanted.ToList();
            foreach (var one in claimed)
            {
                one.LastModifiedTime = DateTimeOffset.UtcNow;
                one.Version = Guid.NewGuid().ToString();
                ownership[one.PartitionId] = one;
            }
            return Task.FromResult<IEnumerable<EventProcessorPartitionOwnership>>(claimed);
        }

        protected override Task<EventProcessorCheckpoint> GetCheckpointAsync(string partitionId, CancellationToken cancellation) =>
            Task.FromResult<EventProcessorCheckpoint>(null!);
    }
}
