/* SPDX-License-Identifier: Apache-2.0 */
/*
 * kill - places where tests/crash ends the process: before and after each durable step. Nothing at all in
 * builds without --enable-kill-points.
 */
#ifndef MAILDIR_KILL_H
#define MAILDIR_KILL_H

#ifdef RST_KILL_POINTS
#include <stdlib.h>
#include <unistd.h>

/* RESTANTE_KILL_POINT=n: the n-th point that is passed ends the process with code 99. */
static inline void
kill_point(void)
{
	static int left = -1;
	const char *text = getenv("RESTANTE_KILL_POINT");

	if (left < 0)
		left = text ? (int)strtol(text, NULL, 10) : 0;
	if (left > 0 && --left == 0)
		_exit(99);
}
#define KILL_POINT(name) kill_point()
#else
#define KILL_POINT(name) ((void)0)
#endif

#endif
