/* SPDX-License-Identifier: Apache-2.0 */
#include "upkeep/clock_watch.h"

#include <stdatomic.h>

#include "base/clock_note.h"
#include "mailbox/volume.h"
#include "module/errand.h"

#define LOOK_MS 60000

static _Atomic bool looking;
static _Atomic int64_t due_ms;

/* Nothing is made beneath a mount point; the clock is as it was found last. */
void
clock_watch_begin(struct conf *c)
{
	if (volume_mounted(c->state_vol))
		clock_note_look(c->state_dir);
}

static int32_t
watch_run(struct errand *e)
{
	clock_watch_begin(e->conf);
	return PM_OK;
}

static void
watch_finish(struct errand *e, int32_t rc)
{
	(void)e;
	(void)rc;
	atomic_store(&looking, false);
}

void
clock_watch_tick(struct conf *c, int64_t now_ms)
{
	struct errand e = {.conf = c,
			   .name = "clock",
			   .background = true,
			   .run = watch_run,
			   .finish = watch_finish,
			   .deadline_ms = now_ms + 60000};

	if (now_ms < atomic_load(&due_ms) || atomic_exchange(&looking, true))
		return;
	atomic_store(&due_ms, now_ms + LOOK_MS);
	if (!errand_start(&e))
		atomic_store(&looking, false); /* in a minute */
}
