/* SPDX-License-Identifier: Apache-2.0 */
/* number - a number with a unit, as text. Pure. */
#ifndef PM_HOST_NUMBER_H
#define PM_HOST_NUMBER_H

#include <stdbool.h>
#include <stdint.h>

/* "5 s", "10k" ... as options of type NUMBER take them: digits and a suffix the unit allows
 * (ms s m h d w; k m g with factor 1024). False: not such a number. */
bool host_parse_number(const char *text, const char *unit, int64_t *ret);

#endif
