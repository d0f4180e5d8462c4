import { endsMissing } from '../../ledger/ledger-reader';
import type { Telemetry } from '../../model/ports';
import { behindFromMs } from '../../task/commit-reports';
import type { SurveyPage } from './surveyor';

/**
 * What alerts are made of, said of tasks whether or not a worker holds them: input that has waited
 * long, and a ledger in which events have no end, or more than one. Said again by every survey for as
 * long as it is so.
 */
export function reportSurvey(page: SurveyPage, telemetry: Telemetry): void {
  const { stage, surveyedAtMs, tasks, topology } = page;
  for (const { digest, isLagExact, lag, lagSinceMs, partition } of tasks) {
    const address = { topology, stage, partition };
    const lagMs = surveyedAtMs - (lagSinceMs ?? surveyedAtMs);
    if (isLagExact && lagMs >= behindFromMs) {
      telemetry.emit('warn', 'task.behind', { ...address, lagMs, lagMessages: lag });
    }
    const { commit, ledger } = digest;
    const difference = endsMissing(ledger);
    if (difference === 0) continue;
    telemetry.emit('error', 'ledger.unbalanced', { ...address, commit, ...ledger, difference });
  }
}
