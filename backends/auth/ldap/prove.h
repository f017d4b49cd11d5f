/* SPDX-License-Identifier: Apache-2.0 */
/*
 * prove - is the user who was found the only one of that name? What templates prove by themselves,
 * and what to ask the directory where they do not. Pure.
 *
 * Two entries of one section may have the same value in the attribute that names the mailbox: two
 * people called ann in two subtrees, found by their addresses. A filter that compares that very
 * attribute would have found both. `within`: names carry the domain that was asked for, so that
 * %d stands for the same domain wherever the name is, and only users of that domain matter.
 */
#ifndef LDAP_PROVE_H
#define LDAP_PROVE_H

#include <stdbool.h>

/* Does the template hold what differs between users of one name? */
bool prove_varies(const char *t, bool within);
/* Does it hold %letter, and nothing else that differs? */
bool prove_only(const char *t, char letter, bool within);
/* Does the filter, filled in, find all users in whose attr stands what %letter stands for? */
bool prove_finds_all(const char *filter, const char *attr, char letter, bool within);
/* A filter for all users that it can find for any name and whose attr is %n; NULL as filter: any
 * entry's. To be freed; NULL: no memory. */
char *prove_namesakes(const char *filter, const char *attr, bool within);
/* The end of a DN below which all its users are; empty: nothing is known of that. */
const char *prove_root(const char *dn, bool within);

#endif
