/* SPDX-License-Identifier: Apache-2.0 */
/*
 * session - the part that all sessions have, whatever protocol they speak. The session of a
 * protocol begins with one. It is made for an accepted socket, run by the one loop
 * (session/talk.h), and freed when it holds nothing any more. Owned by its slot's owner; no field
 * has a lock.
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
	/* one reference: the configuration when the client came */
	struct conf *conf;
	const struct conf_listener *listener; /* the conf's */
	struct peer *peer;                    /* in the arena */
	struct arena arena;                   /* lives as long as the session */
};

/* For the session_new of a struct listener. Makes protocol->size octets that begin with a struct
 * session; the rest is zeroed. NULL: no memory, or the configuration no longer has this
 * listener. */
struct session *session_new(const struct protocol *protocol, const struct listener *l, int fd,
			    const struct peer *peer);
/* Starts it (talk_start). Returns its task; NULL: it was refused, and is freed. */
struct task *session_start(struct session *s);
/* Frees a session that was not started. */
void session_free(struct session *s);

/* A caller for its module calls; their answers are kept in arena a. */
struct caller session_caller(struct session *s, struct arena *a);

/* Adds the fields that all of its log lines have. */
void session_log(const struct session *s, struct log_line *l);
/* Adds how it ended, and the reason if TLS could not begin. */
void session_log_how(const struct session *s, struct log_line *l);

#endif
