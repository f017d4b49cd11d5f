# users: ann=restante ben=restante
# delivery: -
# a message for two, one of them unknown; what is stored; the unix socket
!port lmtp
S~ 220 \S+ LMTP restante
C: LHLO client.example.org
S- PIPELINING
C: LHLO client.example.org
S- CHUNKING
C: LHLO client.example.org
S- SIZE 52428800
C: MAIL FROM:<clerk@example.org> SIZE=60 BODY=8BITMIME
S: 250 2.1.0 sender ok
C: RCPT TO:<ann>
S: 250 2.1.5 <ann> recipient ok
C: RCPT TO:<nobody>
S: 550 5.1.1 <nobody> there is no such mailbox here
C: RCPT TO:<ben>
S: 250 2.1.5 <ben> recipient ok
C: DATA
S: 354 go on; end with CRLF.CRLF
C: Subject: two of you
C: 
C: ..begins with a dot
C: ...
C: .
S~ 250 2\.0\.0 <ann> delivered, id \S+
S~ 250 2\.0\.0 <ben> delivered, id \S+
M: ann 1
M: ben 1
M~ ann ^Return-Path: <clerk@example.org>\nDelivered-To: ann\nReceived: from client.example.org \(\[127.0.0.1\]\)\n\tby \S+ with LMTP id \S+;\n\t[A-Z][a-z][a-z], .*\nSubject: two of you\n\n\.begins with a dot\n\.\.\n$
M~ ben ^Return-Path: <clerk@example.org>\nDelivered-To: ben\nReceived: from
C: MAIL FROM:<>
S: 250 2.1.0 sender ok
C: RCPT TO:<ann>
S: 250 2.1.5 <ann> recipient ok
C: DATA
S: 354 go on; end with CRLF.CRLF
C: .
S~ 250 2\.0\.0 <ann> delivered, id \S+
M: ann 2
M~ ann ^Return-Path: <>\nDelivered-To: ann\nReceived: .*\n\tfor <ann>;\n\t[^\n]*\n$
C: MAIL FROM:<clerk@example.org>
S: 250 2.1.0 sender ok
C: RCPT TO:<ann>
S: 250 2.1.5 <ann> recipient ok
C: RSET
S: 250 2.0.0 ok
C: NOOP whatever
S: 250 2.0.0 ok
C: VRFY ann
S: 252 2.5.2 send it, and RCPT will say
C: HELP
S: 214 2.0.0 see RFC 5321 and RFC 2033
C: QUIT
S: 221 2.0.0 bye
!end
M: ann 2
!port unix
!again
S~ 220 .*
C: lhlo me\r\nmail from:<clerk@example.org>\r\nrcpt to:<ben>\r\ndata
S- *
S: 250 2.1.0 sender ok
S: 250 2.1.5 <ben> recipient ok
S: 354 go on; end with CRLF.CRLF
C* 5000 0123456789 0123456789 0123456789 0123456789 0123456789\r\n
C: .
S~ 250 2\.0\.0 <ben> delivered, id \S+
M: ben 2
M~ ben Received: from me\n\tby
C: QUIT
S: 221 2.0.0 bye
!end
