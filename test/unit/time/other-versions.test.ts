// Goal: what another version of a topology sent through an exchange has no effect, and holds nothing up.
import { encodeEnvelope } from '../../../shared/delivery/exchange/envelope';
import { envelopeHead } from '../../support/envelopes';
import { Mendable, someReadings } from '../../support/mendable';
import { StageWorld } from '../../support/stage-world';

it.each([
  ['v1', 1],
  ['v2', 0],
])('of a message of %s the first version takes in %d events', async (topologyVersion, taken) => {
  const mendable = new Mendable();
  mendable.isMended = true;
  const world = new StageWorld({ topologies: [mendable.topology], partitionCount: 1 });
  const [reading] = someReadings(1);
  const text = JSON.stringify(['ssensor-0', reading?.time, reading]);
  const head = envelopeHead({ stage: 'readings', topologyVersion });
  world.hub('readings-sensor').append(0, encodeEnvelope(head, [text]));
  await world.deliver(world.worker(), { stage: 'by-sensor', partition: 0 });
  const [ledger] = await world.worker().ledgers('readings-by-sensor');
  expect(ledger).toMatchObject({ read: taken, emitted: taken, deadLettered: 0, gap: 0 });
});
