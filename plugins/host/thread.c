/* SPDX-License-Identifier: Apache-2.0 */
#include "thread.h"

static _Thread_local struct {
	const struct pm_module *met[HOST_LIBS_MAX];
	size_t n;
} mine;

static void
thread_meet(const struct pm_module *m)
{
	for (size_t i = 0; i < mine.n; i++)
		if (mine.met[i] == m)
			return;
	if (mine.n == HOST_LIBS_MAX)
		return; /* the loader loads no more than this */
	mine.met[mine.n++] = m;
	if (m->life->thread_begin)
		m->life->thread_begin();
}

void
thread_enter(const struct host_inst *i)
{
	if (mine.n > 0 && mine.met[0] == i->desc && !i->inner)
		return; /* the common case */
	for (; i; i = i->inner)
		thread_meet(i->desc);
}

void
host_thread_exit(void)
{
	while (mine.n > 0) {
		const struct pm_module *m = mine.met[--mine.n];

		if (m->life->thread_end)
			m->life->thread_end();
	}
}
