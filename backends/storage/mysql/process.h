/* SPDX-License-Identifier: Apache-2.0 */
/* process - this process's row, shared by the instances of one section, and the leases that it
 * owes. */
#ifndef MYSQL_PROCESS_H
#define MYSQL_PROCESS_H

#include <stdbool.h>
#include <stdint.h>

#include <restante/module.h>

struct db;
struct inst;
struct lease;
struct process;

struct process *process_get(const struct pm_open *open);
/* The row goes with the last instance. */
void process_put(struct inst *i);
/* Inserts or renews the row when it is due; work that takes or keeps a lease runs it first. */
int32_t process_renew(struct db *d, struct inst *i, bool now);
/* Renews it in any case. On a cluster such a write succeeds only on a node that has all earlier
 * commits. */
int32_t process_write(struct db *d, struct inst *i);
const uint8_t *process_id(const struct process *s);
void process_owe(struct process *s, const struct lease *l);
/* Gives back the owed leases: of this mailbox, or of all (0). */
int32_t process_pay(struct db *d, struct process *s, uint64_t mailbox);

#endif
