# mail: ann=plain
# set: max_bad_commands=100
# every refusal: one line, one answer
S: +OK restante ready
C: XYZZY
S: -ERR unknown command
C: 
S: -ERR unknown command
C: STAT
S: -ERR not possible in this state
C: PASS restante
S: -ERR USER first
C: USER
S: -ERR USER needs a name
C: APOP ann 0123456789abcdef0123456789abcdef
S: -ERR APOP is not offered
C: AUTH XYZZY
S: -ERR unknown mechanism
C: CAPA x
S: -ERR CAPA takes no argument
C: US\0ER ann
S: -ERR a NUL is not possible in a command
C: NOOP aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa
S: -ERR line too long
C: LAST
S: -ERR unknown command
C: USER ann
S~ \+OK.*
C: PASS restante
S: +OK 1 message
C: USER ann
S: -ERR not possible in this state
C: STLS
S: -ERR not possible in this state
C: RETR
S: -ERR RETR needs a message number
C: RETR 0
S: -ERR no such message
C: RETR 2
S: -ERR no such message
C: RETR 1x
S: -ERR no such message
C: RETR +1
S: -ERR no such message
C: RETR -1
S: -ERR no such message
C: LIST 4294967297
S: -ERR no such message
C: LIST 18446744073709551617
S: -ERR no such message
C: TOP 1
S: -ERR TOP needs a message and a number of lines
C: TOP 1 x
S: -ERR TOP needs a message and a number of lines
C: TOP 1 1 1
S: -ERR TOP needs a message and a number of lines
C: DELE
S: -ERR DELE needs a message number
C: LIST 1 1
S: -ERR LIST takes one message number or none
C: STAT 1
S: -ERR STAT takes no argument
C: NOOP 1
S: -ERR NOOP takes no argument
C: QUIT now
S: -ERR QUIT takes no argument
C: quit
S: +OK bye
!end
