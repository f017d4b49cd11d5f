/* SPDX-License-Identifier: Apache-2.0 */
/*
 * names - the names of a file as the server asks for them: domains in lower case, and all of it with
 * name_case = lower. A name that differs from another one in that only gives way to the one that is
 * written so; of several of which none is, nobody is meant. Names nobody can ask for are noted. Pure.
 */
#ifndef PASSWD_NAMES_H
#define PASSWD_NAMES_H

#include <stdbool.h>

#include "table.h"

/* lower: the part before the @, too. Fills t->odd. */
void names_settle(struct table *t, bool lower);

#endif
