using Azure.Messaging.EventHubs;
using Azure.Messaging.EventHubs.Consumer;
using Azure.Messaging.EventHubs.Producer;

namespace EventHubs.Checks;

/// <summary>What the check is called, and what runs it; it throws when it fails.</summary>
public sealed record Check(string Name, Func<Task> Run);

public sealed class CheckFailed(string message) : Exception(message);

/// <summary>Clients of the emulator, and the small steps that checks are made of.</summary>
public sealed class World(string connectionString, string tlsConnectionString)
{
    public string ConnectionString => connectionString;
    public string TlsConnectionString => tlsConnectionString;

    public static readonly EventHubsRetryOptions Retry = new()
    {
        MaximumRetries = 0,
        TryTimeout = TimeSpan.FromSeconds(10),
    };

    public EventHubProducerClient Producer(
        string hub,
        string? to = null,
        EventHubsTransportType transport = EventHubsTransportType.AmqpTcp) =>
        new(to ?? connectionString, hub, new EventHubProducerClientOptions
        {
            RetryOptions = Retry,
            ConnectionOptions = Connection(to, transport),
        });

    public EventHubConsumerClient Consumer(
        string hub,
        string group = EventHubConsumerClient.DefaultConsumerGroupName,
        string? to = null,
        EventHubsTransportType transport = EventHubsTransportType.AmqpTcp) =>
        new(group, to ?? connectionString, hub, new EventHubConsumerClientOptions
        {
            RetryOptions = Retry,
            ConnectionOptions = Connection(to, transport),
        });

    /// <summary>Without UseDevelopmentEmulator the SDK takes the port from here alone.</summary>
    private static EventHubConnectionOptions Connection(string? to, EventHubsTransportType transport)
    {
        var options = new EventHubConnectionOptions { TransportType = transport };
        if (to is not null && !to.Contains("UseDevelopmentEmulator"))
        {
            var endpoint = EventHubsConnectionStringProperties.Parse(to).Endpoint;
            options.CustomEndpointAddress = new UriBuilder(endpoint) { Scheme = "amqps" }.Uri;
        }
        return options;
    }

    public static SendEventOptions To(string partition) => new() { PartitionId = partition };

    /// <summary>Sends the texts to a partition, an event each, in one batch.</summary>
    public async Task Send(string hub, string partition, params string[] texts)
    {
        await using var producer = Producer(hub);
        await producer.SendAsync(texts.Select(text => new EventData(text)), To(partition));
    }

    /// <summary>The first events from a position on; throws what the reader throws.</summary>
    public async Task<List<EventData>> Read(
        string hub,
        string partition,
        EventPosition from,
        int count,
        ReadEventOptions? options = null)
    {
        await using var consumer = Consumer(hub);
        return await Read(consumer, partition, from, count, options);
    }

    public static async Task<List<EventData>> Read(
        EventHubConsumerClient consumer,
        string partition,
        EventPosition from,
        int count,
        ReadEventOptions? options = null)
    {
        var events = new List<EventData>();
        await foreach (var one in consumer.ReadEventsFromPartitionAsync(
            partition, from, options ?? new ReadEventOptions()))
        {
            events.Add(one.Data);
            if (events.Count >= count) break;
        }
        return events;
    }

    public static void Equal<T>(T expected, T actual, string what = "value")
    {
        if (!EqualityComparer<T>.Default.Equals(expected, actual))
            throw new CheckFailed($"{what}: expected {expected}, and it is {actual}");
    }

    public static void Equal(IEnumerable<string> expected, IEnumerable<EventData> actual) =>
        Equal(string.Join(",", expected), string.Join(",", actual.Select(one => one.EventBody.ToString())));

    /// <summary>The step must fail in this way.</summary>
    public static async Task Throws<T>(Func<Task> step, Func<T, bool>? matches = null)
        where T : Exception
    {
        try
        {
            await step();
        }
        catch (T error) when (matches is null || matches(error))
        {
            return;
        }
        throw new CheckFailed($"no {typeof(T).Name}");
    }

    public static Task ThrowsReason(EventHubsException.FailureReason reason, Func<Task> step) =>
        Throws<EventHubsException>(step, error => error.Reason == reason);
}
