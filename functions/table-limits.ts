import type { AppSettings } from '../shared/config/settings';
import type { StagePlan } from '../shared/model/program';

/** A stage whose tables flush as the settings say, where these say anything. */
export function withTableLimits(stage: StagePlan, settings: AppSettings): StagePlan {
  const { flushAgeMaxMs, flushRowsMax } = settings;
  const overrides = {
    ...(flushRowsMax > 0 && { rowsMax: flushRowsMax }),
    ...(flushAgeMaxMs > 0 && { ageMaxMs: flushAgeMaxMs }),
  };
  const tables = stage.tables.map((table) => ({
    ...table,
    flush: { ...table.flush, ...overrides },
  }));
  return { ...stage, tables };
}
