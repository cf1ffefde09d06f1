/* array.h: the length of an array. */
#ifndef CNNSERVE_ARRAY_H
#define CNNSERVE_ARRAY_H

#define ARRAY_LENGTH(a) (sizeof(a) / sizeof((a)[0]))

#endif
