/* SPDX-License-Identifier: Apache-2.0 */
/*
 * session - what every session has, whatever it speaks. A protocol's own session begins with one:
 * it is made on an accepted socket, lives by the one loop (session/talk.h), and is freed when
 * nothing is held any more. Owned by its slot's owner; no field has a lock.
 */
#ifndef RST_SESSION_SESSION_H
#define RST_SESSION_SESSION_H

#include "base/arena.h"
#include "base/log.h"
#include "conf/conf.h"
#include "module/caller.h"
#include "net/listener.h"
#include "net/peer.h"
#include "net/stream.h"
#include "session/talk.h"
#include "work/task.h"

struct session {
	struct task task; /* first */
	struct talk talk;
	struct stream io;
	struct conf *conf;                    /* one reference: as it was when the client came */
	const struct conf_listener *listener; /* the conf's */
	struct peer *peer;                    /* in the arena */
	struct arena arena;                   /* lives as long as the session */
};

/* For struct listener's session_new: protocol->size zeroed octets that begin with this. NULL: no
 * memory, or the configuration has no such listener any more. */
struct session *session_new(const struct protocol *protocol, const struct listener *l, int fd,
			    const struct peer *peer);
/* Its first turn, as talk_start; the task, or NULL: refused, and freed. */
struct task *session_start(struct session *s);
/* Of one that was not started. */
void session_free(struct session *s);

/* Its way to modules; answers are in arena a. */
struct caller session_caller(struct session *s, struct arena *a);

/* Who it is, in each of its log lines. */
void session_log(const struct session *s, struct log_line *l);

#endif
