/* SPDX-License-Identifier: Apache-2.0 */
/*
 * names - the names of a file as the server asks for them: domains in lower case, and whole names
 * with name_case = lower. Of names that differ in nothing else the one written so counts; if
 * none is, nobody is meant. Names that cannot be asked for are noted. Pure.
 */
#ifndef PASSWD_NAMES_H
#define PASSWD_NAMES_H

#include <stdbool.h>

#include "table.h"

/* lower: the part before the @, too. Fills t->odd. */
void names_settle(struct table *t, bool lower);

#endif
