using Azure.Messaging.EventHubs;
using Azure.Messaging.EventHubs.Consumer;
using Azure.Messaging.EventHubs.Primitives;
using static EventHubs.Checks.World;

namespace EventHubs.Checks;

public static class Refusals
{
    public static IEnumerable<Check> Checks(World world) =>
    [
        new("a wrong key", () => Unauthorized(world, text => text.Replace("SAS_KEY_VALUE", "another"))),
        new("a wrong key name", () => Unauthorized(world, text => text.Replace("RootManage", "Listen"))),
        new("an unknown hub", () => UnknownHub(world)),
        new("an unknown consumer group", () => UnknownGroup(world)),
        new("an unknown partition", () => UnknownPartition(world)),
        new("a sequence number beyond the end", () => BeyondTheEnd(world)),
        new("a sixth reader", () => SixthReader(world)),
    ];

    private static async Task Unauthorized(World world, Func<string, string> wrong)
    {
        await using var producer = world.Producer("single", wrong(world.ConnectionString));
        await Throws<UnauthorizedAccessException>(
            () => producer.SendAsync([new EventData("x")]), error => error.Message.Contains("InvalidSignature"));
        await Throws<UnauthorizedAccessException>(() => producer.GetPartitionIdsAsync());
        await using var consumer = world.Consumer("single", to: wrong(world.ConnectionString));
        await Throws<UnauthorizedAccessException>(() => Read(consumer, "0", EventPosition.Earliest, 1));
    }

    private static async Task UnknownHub(World world)
    {
        const EventHubsException.FailureReason reason = EventHubsException.FailureReason.ResourceNotFound;
        await using var producer = world.Producer("missing");
        await ThrowsReason(reason, () => producer.SendAsync([new EventData("x")]));
        await ThrowsReason(reason, () => producer.SendAsync([new EventData("x")], To("0")));
        await ThrowsReason(reason, () => producer.GetEventHubPropertiesAsync());
        await using var consumer = world.Consumer("missing");
        await ThrowsReason(reason, () => Read(consumer, "0", EventPosition.Earliest, 1));
    }

    private static async Task UnknownGroup(World world)
    {
        await using var consumer = world.Consumer("single", "nobody");
        await ThrowsReason(
            EventHubsException.FailureReason.ResourceNotFound,
            () => Read(consumer, "0", EventPosition.Earliest, 1));
    }

    private static async Task UnknownPartition(World world)
    {
        await using var producer = world.Producer("single");
        await Throws<ArgumentException>(() => producer.SendAsync([new EventData("x")], To("17")));
        await Throws<ArgumentException>(() => producer.GetPartitionPropertiesAsync("17"));
        await using var consumer = world.Consumer("single");
        await Throws<ArgumentException>(() => Read(consumer, "17", EventPosition.Earliest, 1));
    }

    private static async Task BeyondTheEnd(World world)
    {
        await world.Send("beyond", "0", "a");
        await Throws<ArgumentException>(
            () => world.Read("beyond", "0", EventPosition.FromSequenceNumber(1_000), 1),
            error => error.Message.Contains("The supplied sequence number '1000' is invalid"));
    }

    private static async Task SixthReader(World world)
    {
        await world.Send("crowded", "0", "a");
        var readers = Enumerable.Range(0, 6).Select(_ => new PartitionReceiver(
            EventHubConsumerClient.DefaultConsumerGroupName, "0", EventPosition.Earliest, world.ConnectionString, "crowded",
            new PartitionReceiverOptions { RetryOptions = Retry })).ToList();
        foreach (var reader in readers.Take(5))
            Equal(["a"], await reader.ReceiveBatchAsync(1, TimeSpan.FromSeconds(5)));
        await ThrowsReason(
            EventHubsException.FailureReason.QuotaExceeded,
            () => readers[5].ReceiveBatchAsync(1, TimeSpan.FromSeconds(5)));
        foreach (var reader in readers) await reader.CloseAsync();
    }
}
