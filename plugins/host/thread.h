/* SPDX-License-Identifier: Apache-2.0 */
/*
 * thread - which modules this thread was introduced to: thread_begin before its first call into
 * one, thread_end of all of them in host_thread_exit (call.h).
 *
 * Threads: any; each has a list of its own.
 */
#ifndef PM_HOST_THREAD_H
#define PM_HOST_THREAD_H

#include "load.h"

/* Before a call into i or into what it wraps. */
void thread_enter(const struct host_inst *i);

#endif
