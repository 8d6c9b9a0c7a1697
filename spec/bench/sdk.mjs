// The TypeScript SDK as a peer: what the benchmarks ask of it, in a process of its own.
//   sdk.mjs cpu URL COUNT     CPU microseconds of one list({per_page: 200}), after warming up
//   sdk.mjs walk URL PAGES    seconds for that many pages, one after the other
//   sdk.mjs first URL         prints the uuid of the first job
import { createRequire } from 'node:module';
import { resolve } from 'node:path';

const require = createRequire(resolve(process.env.PEERS) + '/');
const { Gradient } = require('@digitalocean/gradient');

const [, , task, url, count] = process.argv;
const client = new Gradient({ accessToken: 'test-token', baseURL: url, maxRetries: 0 });
const jobs = client.knowledgeBases.indexingJobs;

async function cpu() {
  for (let i = 0; i < 50; i++) await jobs.list({ per_page: 200 });
  const before = process.cpuUsage();
  for (let i = 0; i < count; i++) await jobs.list({ per_page: 200 });
  const used = process.cpuUsage(before);
  console.log((used.user + used.system) / count);
}

async function walk() {
  await jobs.list({ per_page: 1 });
  const started = performance.now();
  for (let page = 1; page <= count; page++) await jobs.list({ page, per_page: 10 });
  console.log((performance.now() - started) / 1000);
}

async function first() {
  const page = await jobs.list({ per_page: 200 });
  console.log(page.jobs[0].uuid);
}

await { cpu, walk, first }[task]();
