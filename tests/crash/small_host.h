/* SPDX-License-Identifier: Apache-2.0 */
/* small_host - the parts of a host that the programs that drive a store need: a log on standard
 * output, calls, digests. */
#ifndef CRASH_SMALL_HOST_H
#define CRASH_SMALL_HOST_H

#include <stdbool.h>

#include "host/answer.h"
#include "host/call.h"
#include "host/inst.h"
#include "host/thread.h"

extern bool small_quiet; /* no log */
extern const struct pm_host small_services;

/* For host_spec.error. */
void small_error(void *ctx, const char *file, unsigned line, const char *text);
/* A call of half a minute; valid until the next one. */
struct host_call *small_call(void);
struct pm_user small_user(const char *name);
/* FNV-1a over a message's bytes as they go over the wire, line ends as CRLF. */
int32_t small_digest(struct host_inst *inst, void *mbox, uint64_t k, uint64_t *ret);

#endif
