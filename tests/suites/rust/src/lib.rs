//! Nothing: the tests are what this package is for. They are copied beside it from redis-rs's own package.
