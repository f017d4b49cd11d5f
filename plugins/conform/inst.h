/* SPDX-License-Identifier: Apache-2.0 */
/* inst - the module under test: its instances, and calls into it. */
#ifndef CONFORM_INST_H
#define CONFORM_INST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "host/call.h"
#include "host/inst.h"

struct setup {
	struct host_lib *lib, *wrapped; /* wrapped: the module inside, or NULL */
	struct host_setting settings[64], wrapped_settings[64];
	size_t n_settings, n_wrapped;
	const char *user, *password; /* an account that may log in, or NULL */
	const char *work_dir;        /* state_dir and run_dir; the kit's own */
	bool in_memory;
	unsigned seconds; /* a check's time */
};
extern struct setup setup;

struct inst {
	struct host_inst *host, *wrapped;
	const struct pm_module *m;
	void *i;
};
/* Opens the module (as a wrapper of the other one, if there is one); a failure ends the check. */
struct inst *kit_open(void);
/* The same with other permits; NULL: the configuration was refused, kit_errors has the texts. */
struct inst *kit_try_open(const struct host_setting *settings, size_t n, uint32_t permits);
void kit_close(struct inst *in);
/* check() with these PM_OPENF_ bits. */
bool kit_check(uint32_t flags);
extern char kit_errors[4096]; /* of the last check and open, one a line */

/* A fresh call record of this thread, 20 s away; valid until the thread's next. alloc's memory
 * lives until the process ends. */
struct host_call *kit_call(void);
const struct pm_call *kit_pm(void); /* &kit_call()->pm */
const struct pm_call *
kit_pm_by(int64_t in_ms); /* deadline in_ms from now; negative: over already */
/* the module's words in this thread's last call, or "" */
const char *kit_said(void);
extern _Thread_local bool kit_cancelled;  /* cancelled() says so */
extern _Thread_local int kit_allocs_left; /* alloc() gives NULL after so many; -1: never */
int64_t kit_now_ms(void);
/* each call of the host's clock takes so long: a slice is over at once */
extern _Thread_local int kit_hurry_ms;
/* A thread of a check: introduces itself to the module and takes its leave. */
typedef struct kit_thread kit_thread;
kit_thread *kit_thread_start(struct inst *in, void (*fn)(void *arg), void *arg);
void kit_thread_join(kit_thread *t);

#endif
