/* SPDX-License-Identifier: Apache-2.0 */
/*
 * thread - which modules this thread has called: thread_begin before its first call into one,
 * thread_end of all of them in host_thread_exit.
 *
 * Threads: any; each has a list of its own.
 */
#ifndef PM_HOST_THREAD_H
#define PM_HOST_THREAD_H

#include "inst.h"

/* Before a call into i or into the instance that it wraps. */
void thread_enter(const struct host_inst *i);

/* thread_end of every module this thread has called: the last act of a worker. */
void host_thread_exit(void);

#endif
