/* SPDX-License-Identifier: Apache-2.0 */
/* bytes - copying, summing, writing bytes of a file. */
#ifndef MBOX_BYTES_H
#define MBOX_BYTES_H

#include <stddef.h>
#include <stdint.h>

/* 0 or an errno; EIO: the file ends before that. */
int bytes_read(int fd, void *p, size_t n, uint64_t at);
int bytes_write(int fd, const void *p, size_t n, uint64_t at);
int bytes_copy(int from, uint64_t from_at, int to, uint64_t to_at, size_t n);
/* FNV-1a: a guard against torn files, not against people. */
#define BYTES_SUM 0xcbf29ce484222325u
uint64_t bytes_sum(const void *p, size_t n, uint64_t sum);

#endif
