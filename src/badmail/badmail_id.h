/* SPDX-License-Identifier: Apache-2.0 */
/* badmail_id - the class and the number of an item, as operators see them. Pure. */
#ifndef RST_BADMAIL_BADMAIL_ID_H
#define RST_BADMAIL_BADMAIL_ID_H

#include <stdbool.h>
#include <stdint.h>

enum badmail_class { BADMAIL_RETRY, BADMAIL_REFUSED };

const char *badmail_id_class(enum badmail_class cls); /* "retry" "refused" */
/* "r1f", "x20": at most 16 characters. */
void badmail_id_format(enum badmail_class cls, uint64_t id, char buf[17]);
bool badmail_id_parse(const char *text, enum badmail_class *cls, uint64_t *id);

#endif
