// ioredis's Cluster against cores that are announced as nodes. Called with the port that is no node's and those of the
// nodes; throws at the first check that fails, prints their number otherwise.
"use strict";

const assert = require("node:assert/strict");
const Redis = require("ioredis");

const [front, ...nodes] = process.argv.slice(2).map(Number);
let checks = 0;

function equal(got, wanted, what) {
  assert.deepEqual(got, wanted, what);
  checks += 1;
}

// Letters between cores so far; the question itself asks every other core.
async function lettersSent(redis) {
  return Number(/letters_sent:(\d+)/.exec(await redis.info("stats"))[1]);
}

async function strings(cluster) {
  const keys = Array.from({ length: 1000 }, (_, i) => `k:${i}`);
  equal(await Promise.all(keys.map((key, i) => cluster.set(key, i))), keys.map(() => "OK"));
  equal(await Promise.all(keys.map((key) => cluster.get(key))), keys.map((_, i) => String(i)));
  equal(await cluster.mset("{tag}a", 1, "{tag}b", 2), "OK");
  equal(await cluster.mget("{tag}a", "{tag}b", "{tag}c"), ["1", "2", null]);
  equal(await cluster.incrby("{tag}a", 41), 42);
  equal(await cluster.set("x", "v", "EX", 100, "NX"), "OK");
  equal(await cluster.persist("x"), 1);
  equal(await cluster.getdel("x"), "v");
  const pipeline = cluster.pipeline();
  for (let i = 0; i < 1000; i += 1) {
    pipeline.append(`{tag}${i % 10}`, "x");
  }
  equal((await pipeline.exec()).every(([error]) => error === null), true);
  equal(await cluster.strlen("{tag}3"), 100);
}

async function everyNode(cluster) {
  const sizes = await Promise.all(cluster.nodes("master").map((node) => node.dbsize()));
  equal(sizes.reduce((sum, size) => sum + size), 1012);
  const flushed = await Promise.all(cluster.nodes("master").map((node) => node.flushall()));
  equal(flushed.every((reply) => reply === "OK"), true);
}

async function main() {
  const plain = new Redis({ host: "127.0.0.1", port: front });
  for (const seed of [front, nodes.at(-1)]) {
    const cluster = new Redis.Cluster([{ host: "127.0.0.1", port: seed }], { slotsRefreshInterval: 0 });
    await new Promise((resolve, reject) => cluster.once("ready", resolve).once("error", reject));
    // Opens a connection to each node; ioredis asks INFO on every new one.
    for (let i = 0; i < 100; i += 1) {
      await cluster.get(`warm:${i}`);
    }
    equal(cluster.nodes("master").map((node) => node.options.port).sort(), nodes);
    const before = await lettersSent(plain);
    await strings(cluster);
    await everyNode(cluster);
    equal((await lettersSent(plain)) - before, nodes.length - 1, "letters, those of INFO itself apart");
    await cluster.quit();
  }
  await plain.quit();
  console.log(`${checks} checks`);
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
