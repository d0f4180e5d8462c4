export { compileStage, type CompiledProgram } from './compile';
