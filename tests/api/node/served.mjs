// Starts `slipstream serve` and waits until it serves.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { existsSync } from 'node:fs';

const TESTS = process.env.SLIPSTREAM_TESTS;
export const TINY_MODEL = `${TESTS}/data/oracle/llama-untied-bf16`;
export const TINY_OPTIONS = ['--chat-template', `${TESTS}/api/chatml.jinja`, '--cache-memory-mb', '64'];

// The real model's file where the caller of the tests has it, else undefined.
export const SMOLLM2 = existsSync(process.env.SLIPSTREAM_SMOLLM2 ?? '') ? process.env.SLIPSTREAM_SMOLLM2 : undefined;

export class Served {
  // `address` is http://127.0.0.1:PORT.
  static async start(model, ...options) {
    const served = new Served();
    const command = ['serve', model, '--port', '0', '--served-model-name', 'model', ...options];
    served.process = spawn(process.env.SLIPSTREAM_PROGRAM, command, { stdio: ['ignore', 'pipe', 'inherit'] });
    served.ended = once(served.process, 'exit');
    for await (const facts of createInterface({ input: served.process.stdout })) {
      served.address = /http:\/\/127\.0\.0\.1:\d+/.exec(facts)?.[0];
      if (served.address) return served;
    }
    throw new Error(`${command.join(' ')} did not serve`);
  }

  // SIGTERM; the exit status.
  async terminate() {
    this.process.kill('SIGTERM');
    const [status] = await this.ended;
    return status;
  }
}
