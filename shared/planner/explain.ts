import type { Plan } from './plan';

/** The plan as text: each stage with what it reads, runs and writes, in the data's order. */
export function explain(plan: Plan): string {
  const lines: string[] = [];
  for (const stage of plan.stages) {
    const hub = plan.hubs.find(({ name }) => name === stage.input.hub);
    lines.push(
      `stage ${stage.topology}/${stage.name}   function ${stage.functionName}, one task per partition`,
      `  reads     ${stage.input.kind} hub ${stage.input.hub} (${hub?.partitionCount ?? '?'} partitions), consumer group ${stage.consumerGroup}`,
      `  runs      ${stage.operators.join(' → ')}`,
    );
    for (const table of stage.tables) {
      const folders = table.partitionBy.length > 0 ? `, by ${table.partitionBy.join('/')}` : '';
      lines.push(`  writes    table ${table.name} (${table.format}${folders})`);
    }
    for (const exchange of stage.exchanges) {
      lines.push(`  exchanges through hub ${exchange.hub}, by key`);
    }
    lines.push('');
  }
  return lines.join('\n');
}

/** The plan in the form of the official Event Hubs emulator's Config.json. */
export function emulatorConfig(plan: Plan): unknown {
  return {
    UserConfig: {
      NamespaceConfig: [
        {
          Type: 'EventHub',
          Name: 'emulatorNs1',
          Entities: plan.hubs.map((hub) => ({
            Name: hub.name,
            PartitionCount: hub.partitionCount,
            ConsumerGroups: hub.consumerGroups.map((name) => ({ Name: name })),
          })),
        },
      ],
      LoggingConfig: { Type: 'Console' },
    },
  };
}
