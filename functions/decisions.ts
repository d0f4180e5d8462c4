/**
 * Registers what can be asked of the plans of topologies over HTTP, and the decisions about them: the app answers
 * with its own code. What is done is in shared/operations/decisions.
 */
import type { HttpResponseInit } from '@azure/functions';
import { Type } from 'typebox';
import { Compile } from 'typebox/compile';
import { StreamError, type ErrorCode } from '../shared/model/errors';
import type { BuildIdentity } from '../shared/model/topology-plan';
import type { OwnPlan } from '../shared/operations/decisions/plan-store';
import { comparePlan, decision, take } from '../shared/operations/decisions/requests';
import type { DecisionWorld } from '../shared/operations/decisions/standing-plan';
import type { FunctionApp } from './function-app';
import { readBody } from './read-body';

const decisionRequest = Compile(
  Type.Object({ topology: Type.String(), decision }, { additionalProperties: false }),
);

/** What whoever asks has to mend, or somebody else was first with. */
const refusals: Partial<Record<ErrorCode, number>> = {
  STREAM_CONFIGURATION_INVALID: 400,
  STREAM_DECISION_NEEDED: 409,
  STREAM_COMMIT_CONTENDED: 409,
};

export interface DecisionsOptions {
  readonly services: DecisionWorld['services'];
  readonly build: BuildIdentity;
  readonly plans: readonly OwnPlan[];
}

export function registerDecisions(
  app: FunctionApp,
  { build, plans, services }: DecisionsOptions,
): void {
  app.http('plans', {
    route: 'plans',
    methods: ['GET'],
    authLevel: 'function',
    handler: async () => {
      const comparisons = [];
      for (const own of plans) comparisons.push(await comparePlan(services, own));
      return { jsonBody: comparisons };
    },
  });
  app.http('decisions', {
    route: 'decisions',
    methods: ['POST'],
    authLevel: 'function',
    handler: async (request) => {
      const body = await readBody(request);
      if (body === undefined) return refused(400, 'the body is not JSON');
      if (!decisionRequest.Check(body)) {
        const [first] = decisionRequest.Errors(body);
        return refused(400, `the body${first?.instancePath ?? ''} ${first?.message ?? 'is wrong'}`);
      }
      const own = plans.find(({ topology }) => topology === body.topology);
      if (own === undefined) {
        const known = plans.map(({ topology }) => topology).join(', ');
        return refused(400, `this app has no topology ${body.topology}; there is: ${known}`);
      }
      try {
        return { jsonBody: await take({ services, build, own }, body.decision) };
      } catch (error) {
        const status = error instanceof StreamError ? refusals[error.code] : undefined;
        if (status === undefined) throw error;
        return refused(status, (error as StreamError).message);
      }
    },
  });
}

function refused(status: number, error: string): HttpResponseInit {
  return { status, jsonBody: { error } };
}
