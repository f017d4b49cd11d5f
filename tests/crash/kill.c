/* SPDX-License-Identifier: Apache-2.0 */
/* The kill points of sdk/kill.h, in builds with --enable-kill-points. */
#include "kill.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>

void sdk_kill_point(void);

void
sdk_kill_point(void)
{
	static atomic_int passed;
	const char *text = getenv("RESTANTE_KILL_POINT");

	if (text && *text != 's' &&
	    atomic_fetch_add(&passed, 1) + 1 == (int)strtol(text + (*text == 'm'), NULL, 10))
		_exit(99);
}
