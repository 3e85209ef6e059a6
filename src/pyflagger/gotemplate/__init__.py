"""The subset of Go's text/template that queries are written in: lexer, parser, evaluator and functions, all bounded."""
