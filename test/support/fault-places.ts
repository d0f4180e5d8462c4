import { faultsOf } from '../../shared/dataflow/places';

/** Of each fault that a call throws, the first line of its stack that stands in a test. */
export function placesIn(call: () => unknown): string[] {
  try {
    call();
  } catch (error) {
    return (faultsOf(error) ?? []).map(
      ({ stack }) => stack?.split('\n').find((line) => line.includes('/test/unit/')) ?? '',
    );
  }
  return [];
}
