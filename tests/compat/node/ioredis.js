// ioredis against a running server, over RESP2 and RESP3. Called with the port and the Unix socket's path;
// throws at the first check that fails, prints their number otherwise.
"use strict";

const assert = require("node:assert/strict");
const Redis = require("ioredis");

const [port, unixPath] = [Number(process.argv[2]), process.argv[3]];
let checks = 0;

function equal(got, wanted, what) {
  assert.deepEqual(got, wanted, what);
  checks += 1;
}

async function strings(redis) {
  await redis.flushall();
  equal(await redis.set("k", "v"), "OK");
  equal(await redis.get("k"), "v");
  equal(await redis.get("none"), null);
  equal(await redis.set("k", "w", "NX"), null);
  equal(await redis.set("k", "w", "XX", "GET"), "v");
  equal(await redis.incrby("n", 41), 41);
  equal(await redis.incrbyfloat("n", 0.5), "41.5");
  const bytes = Buffer.from([0, 13, 10, 255]);
  await redis.set("bytes", bytes);
  equal(await redis.getBuffer("bytes"), bytes);
  equal(await redis.expire("k", 1000), 1);
  assert(Math.abs((await redis.ttl("k")) - 1000) <= 1);
  equal(await redis.persist("k"), 1);
}

async function many(redis) {
  const pairs = Object.fromEntries(Array.from({ length: 500 }, (_, i) => [`m:${i}`, String(i)]));
  equal(await redis.mset(pairs), "OK");
  equal(await redis.mget(Object.keys(pairs)), Object.values(pairs));
  const seen = new Set();
  for await (const keys of redis.scanStream({ match: "m:*", count: 50 })) {
    keys.forEach((key) => seen.add(key));
  }
  equal(seen.size, 500);
  equal(await redis.del(Object.keys(pairs)), 500);
}

async function pipelines(redis) {
  const pipeline = redis.pipeline();
  for (let i = 0; i < 10_000; i += 1) {
    pipeline.set(`p:${i}`, i).get(`p:${i}`);
  }
  const replies = await pipeline.exec();
  equal(replies.length, 20_000);
  assert(replies.every(([error, reply], at) => error === null && reply === (at % 2 ? String((at - 1) / 2) : "OK")));
  // Sent one by one in one turn, they leave as one write.
  const together = await Promise.all(Array.from({ length: 5000 }, (_, i) => redis.echo(String(i))));
  assert(together.every((reply, at) => reply === String(at)));
  checks += 1;
}

async function errorsAndLarge(redis) {
  await assert.rejects(redis.call("GET"), /wrong number of arguments/);
  await assert.rejects(redis.call("NOSUCH", "x"), /unknown command/);
  equal(await redis.ping(), "PONG");
  const large = Buffer.alloc(8 << 20, 7);
  await redis.set("large", large);
  assert((await redis.getBuffer("large")).equals(large));
  equal(await redis.client("SETNAME", "node"), "OK");
  equal(await redis.client("GETNAME"), "node");
  assert.match(await redis.info("server"), /redis_version:/);
}

async function main() {
  const places = [{ host: "127.0.0.1", port }, { path: unixPath }];
  for (const place of places) {
    for (const protocol of [2, 3]) {
      const redis = new Redis({ ...place, protocol, lazyConnect: true, maxRetriesPerRequest: 0, retryStrategy: null });
      await redis.connect();
      for (const part of [strings, many, pipelines, errorsAndLarge]) {
        await part(redis);
      }
      equal(await redis.quit(), "OK");
    }
  }
  console.log(`${checks} checks`);
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
