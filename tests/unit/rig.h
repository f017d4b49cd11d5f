/* SPDX-License-Identifier: Apache-2.0 */
/* rig - the helpers that module tests share: copies of built modules where the loader trusts them,
 * a host, calls. */
#ifndef TESTS_UNIT_RIG_H
#define TESTS_UNIT_RIG_H

#include <stddef.h>

#include "host/answer.h"
#include "host/call.h"
#include "host/inst.h"
#include "host/thread.h"

/* A private directory with copies of the modules named (NULL at the end); removed by rig_end. */
const char *rig_begin(const char *const *modules);
void rig_end(void);
const char *rig_dir(void);
/* Writes a file below the directory and returns its path (valid until the next call). */
const char *rig_file(const char *name, const void *bytes, size_t n);

/* Services: a real clock, counters thrown away; the log is kept, newest last. */
extern const struct pm_host rig_host;
extern char rig_log[4096];
extern int64_t rig_wall_ms; /* 0: the real one */

/* Errors of a section, one per line. */
extern char rig_errors[8192];
/* PM_OPENF_... for what is opened from now on. */
extern uint32_t rig_flags;
void rig_spec(struct host_spec *spec, const struct host_setting *settings, size_t n);
/* Opens `name` from the directory with "key", "value", ..., NULL. NULL: see rig_errors. */
struct host_inst *rig_open(const char *name, struct host_inst *inner, ...);

#define RIG_BLOCKS 256

/* A call of 10 s, or of so many ms, with memory of its own. */
struct rig_call {
	struct host_call call;
	void *memory[RIG_BLOCKS];
	size_t n;
};
struct host_call *rig_call(struct rig_call *r);
struct host_call *rig_call_ms(struct rig_call *r, int64_t ms);
void rig_call_end(struct rig_call *r);

#endif
