// Runs every check with the .NET SDK and prints a JSON line for each: its name, and its failure or null.
//   dotnet event-hubs-checks.dll <connection string> <connection string over TLS> [name of a check]
using System.Text.Json;
using EventHubs.Checks;

var world = new World(args[0], args[1]);
var wanted = args.Length > 2 ? args[2] : null;
var checks = Sending.Checks(world)
    .Concat(Receiving.Checks(world))
    .Concat(Refusals.Checks(world))
    .Where(check => wanted is null || check.Name == wanted);
var limit = TimeSpan.FromSeconds(30);
var printing = new object();

await Task.WhenAll(checks.Select(async check =>
{
    string? failure = null;
    try
    {
        await Task.Run(check.Run).WaitAsync(limit);
    }
    catch (Exception error)
    {
        failure = error.ToString();
    }
    lock (printing) Console.WriteLine(JsonSerializer.Serialize(new { check = check.Name, failure }));
}));
// A client that hangs must not keep the process.
Environment.Exit(0);
