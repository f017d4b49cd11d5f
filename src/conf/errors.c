/* SPDX-License-Identifier: Apache-2.0 */
#include "conf/errors.h"

#include <stdarg.h>
#include <stdio.h>

void
conf_error(struct conf_errors *e, const struct conf_where *w, const char *fmt, ...)
{
	char text[1024];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	for (char *p = text; *p; p++)
		if ((unsigned char)*p < 0x20 || *p == 0x7f)
			*p = '?'; /* values may come from the environment */
	e->count++;
	if (e->report)
		e->report(e->ctx, w, text);
}
