/** The function app: what package.json's `main` names. */
import { app } from '@azure/functions';
import { topologies } from '../topologies';
import { registerMillrace } from './register';

registerMillrace(app, { topologies });
