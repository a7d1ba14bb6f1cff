//! MULTI, EXEC, DISCARD, WATCH, UNWATCH, and what a client may queue.

use super::super::Engine;
use super::super::gather::Gather;
use super::super::ingress::Call;
use super::super::keys::Whole;
use super::super::letter::Ticket;
use super::super::sessions::Client;
use super::coordinator::Program;
use super::footprint::Footprint;
use crate::keyspace::Key;
use crate::keyspace::command::{OUT_OF_MEMORY, Request};
use crate::protocol::command::{Command, Spec, flags::flag};
use crate::protocol::resp::{Args, Output, OwnedArgs, Proto};
use crate::types::{ConnId, CoreId, KeyHash, Slot};

/// What a client may queue; as Redis bounds what it keeps of a client's requests.
const QUEUED_BYTES_MAX: usize = 1 << 30;
const EXEC_ABORT: &str = "EXECABORT Transaction discarded because of previous errors.";

/// Whether a command is queued between MULTI and EXEC.
pub fn is_queued(command: Command) -> bool {
    use Command::{Discard, Exec, Multi, Quit, Reset, Watch};
    !matches!(command, Discard | Exec | Multi | Quit | Reset | Watch)
}

impl Engine {
    /// Queues a request between MULTI and EXEC, or refuses it; false: it is to run at once.
    pub(in super::super) fn queue(
        &mut self,
        conn: ConnId,
        client: &mut Client,
        spec: &'static Spec,
        args: &mut Args,
    ) -> bool {
        if spec.command == Command::Exec {
            let refused = self.lacks_memory(client);
            if refused {
                self.refuse_exec(conn, client, OUT_OF_MEMORY);
                self.request_ends(client, spec);
            }
            return refused;
        }
        if !is_queued(spec.command) {
            return false;
        }
        if spec.has(flag::NO_MULTI) {
            self.refuse_queueing(client);
            client.answer(|reply| reply.error("ERR Command not allowed inside a transaction"));
            return true;
        }
        if spec.has(flag::DENYOOM) && self.shard.is_short() && !self.shard.make_room() {
            self.refuse_queueing(client);
            client.answer(|reply| reply.error(OUT_OF_MEMORY));
            return true;
        }
        let multi = client.multi.as_mut().expect("it queues");
        multi.queue(spec, args);
        if multi.bytes() > QUEUED_BYTES_MAX {
            log::warn!("closing {}: it has queued more than {QUEUED_BYTES_MAX} bytes", client.profile.peer);
            client.closing = true;
        }
        client.answer(|reply| reply.simple("QUEUED"));
        true
    }

    /// A request could not be queued: EXEC will run none.
    pub(in super::super) fn refuse_queueing(&mut self, client: &mut Client) {
        if let Some(multi) = &mut client.multi {
            multi.refused = true;
        }
    }

    /// Whether requests that a client has queued need memory, which is short.
    fn lacks_memory(&mut self, client: &Client) -> bool {
        let multi = client.multi.as_ref().expect("it queues");
        let grows = !multi.refused && multi.requests.iter().any(|queued| queued.spec.has(flag::DENYOOM));
        grows && self.shard.is_short() && !self.shard.make_room()
    }

    /// EXEC itself is refused: its transaction is over, and has not run.
    pub(in super::super) fn refuse_exec(&mut self, conn: ConnId, client: &mut Client, error: &str) {
        client.multi = None;
        self.unwatch(conn, client);
        let error = error.strip_prefix("ERR ").unwrap_or(error);
        client.answer(|reply| reply.error(&format!("EXECABORT Transaction discarded because of: {error}")));
        client.review();
    }

    pub(in super::super) fn transact(
        &mut self,
        call: &mut Call,
        client: &mut Client,
        command: Command,
        args: &mut Args,
    ) {
        match command {
            Command::Multi if client.multi.is_some() => {
                client.answer(|reply| reply.error("ERR MULTI calls can not be nested"));
            }
            Command::Multi => {
                client.multi = Some(Box::default());
                self.invalidation.seeks.forget(call.conn);
                client.answer(|reply| reply.ok());
            }
            Command::Discard if client.multi.is_none() => {
                client.answer(|reply| reply.error("ERR DISCARD without MULTI"));
            }
            Command::Discard => {
                client.multi = None;
                self.unwatch(call.conn, client);
                client.answer(|reply| reply.ok());
            }
            Command::Watch if client.multi.is_some() => {
                client.answer(|reply| reply.error("ERR WATCH inside MULTI is not allowed"));
            }
            Command::Watch => self.watch(call, client, args),
            Command::Unwatch => {
                self.unwatch(call.conn, client);
                client.answer(|reply| reply.ok());
            }
            _ => self.exec(call, client),
        }
    }

    fn exec(&mut self, call: &mut Call, client: &mut Client) {
        let Some(multi) = client.multi.take() else {
            return client.answer(|reply| reply.error("ERR EXEC without MULTI"));
        };
        if multi.refused {
            self.write_down_exec(call.now, client, &mut []);
            self.unwatch(call.conn, client);
            return client.answer(|reply| reply.error(EXEC_ABORT));
        }
        let mut footprint = Footprint::default();
        let mut requests = multi.requests;
        for queued in &mut requests {
            footprint.add(queued.spec, &queued.args.args());
        }
        footprint.add_slots(&client.watched.slots());
        self.start(call, client, Program::new(requests, true), footprint);
    }

    fn watch(&mut self, call: &mut Call, client: &mut Client, args: &mut Args) {
        let keys = args.len() - 1;
        let mut whole = Whole::open(client, Gather::ok(keys), self.cores == 1);
        for index in 0..keys {
            let place = self.place(args.get(1 + index));
            client.watched.insert(place.slot, place.hash, args.get(1 + index).len());
            let waits = self.transactions.must_wait(self.core, call.conn, Some(place.slot));
            if place.owner == self.core && !waits {
                let key = Key { bytes: args.get(1 + index), slot: place.slot, hash: place.hash, hint: None };
                self.watch_key(call.now, (self.core, call.conn), &key);
                let ok = Output { bytes: b"+OK\r\n".to_vec(), ..Output::default() };
                whole.add(client, index as u32, &ok);
                continue;
            }
            let number = whole.number.expect("with other cores a slot was opened");
            let places = [args.places()[0], args.places()[1 + index]];
            let mut request = Request {
                command: Command::Watch,
                args: args.narrow(&places),
                slot: place.slot,
                hash: place.hash,
                hint: None,
            };
            let ticket = Ticket::new(call.conn, number, index as u32);
            if place.owner == self.core {
                self.wait_for_unlock(self.core, ticket, Proto::Resp2, 0, &mut request);
            } else {
                self.post.ask(place.owner, ticket, Proto::Resp2, &mut request);
            }
        }
        self.close_whole(client, whole);
    }

    /// Forgets all that a client watches, wherever.
    pub(in super::super) fn unwatch(&mut self, conn: ConnId, client: &mut Client) {
        let slots = std::mem::take(&mut client.watched).slots();
        let mut owners: Vec<CoreId> = slots.into_iter().map(|slot| self.table.owner(slot)).collect();
        owners.sort_unstable();
        owners.dedup();
        for owner in owners {
            if owner == self.core {
                self.unwatch_here((self.core, conn));
            } else {
                // A letter, not a note: letters of a batch are served first, and what it watches next may follow in this one.
                let mut name = OwnedArgs::default();
                name.push(b"");
                let (args, slot, hash) = (name.args(), Slot(0), KeyHash(0));
                let mut request = Request { command: Command::Unwatch, args, slot, hash, hint: None };
                self.post.ask(owner, Ticket::new(conn, 0, 0), Proto::Resp2, &mut request);
            }
        }
    }
}
