%% Erlang distribution: a process that sends back what it gets, on one node; on the
%% other as many processes as there are calls in flight, each of which sends and
%% waits for its answer (`message`), or one process that keeps them all in flight
%% (`pipelined`). Commands come as lines of JSON on standard input, as to every
%% program of the benches; it ends when its standard input does.
-module(echo_bench).
-export([server/0, client/0]).

-define(SERVER, {echo, 'server@127.0.0.1'}).
-define(BODY, <<0:512>>).

server() ->
    register(echo, spawn(fun echo/0)),
    ready(),
    serve().

client() ->
    pong = net_adm:ping('server@127.0.0.1'),
    ready(),
    serve().

echo() ->
    receive
        {From, Reference, Body} ->
            From ! {Reference, Body},
            echo()
    end.

ready() -> io:format("{\"ready\":\"\"}~n").

serve() ->
    case io:get_line("") of
        Line when is_list(Line); is_binary(Line) ->
            [Id, What, InFlight, Ms] = fields(Line, ["id", "what", "inFlight", "ms"]),
            answer(Id, load(What, list_to_integer(InFlight), trunc(number(Ms)))),
            serve();
        _ ->
            halt(0)
    end.

fields(Line, Names) ->
    [begin
         Pattern = "\"" ++ Name ++ "\":\"?([^\",}]+)",
         {match, [Text]} = re:run(Line, Pattern, [{capture, all_but_first, list}]),
         Text
     end || Name <- Names].

number(Text) ->
    try list_to_float(Text) catch error:badarg -> list_to_integer(Text) end.

answer(Id, {Calls, Elapsed, Samples}) ->
    Sorted = lists:sort(Samples),
    Quantile = fun(Share) ->
        Nth = min(length(Sorted), 1 + trunc(length(Sorted) * Share)),
        lists:nth(Nth, Sorted) / 1000
    end,
    io:format("{\"id\":~s,\"result\":{\"calls\":~b,\"perSecond\":~.3f,"
              "\"p50Us\":~.3f,\"p99Us\":~.3f}}~n",
              [Id, Calls, Calls * 1.0e9 / Elapsed, Quantile(0.5), Quantile(0.99)]).

%% How many calls, in how many nanoseconds, and how long some of them took.
load(What, InFlight, Ms) ->
    Began = now_ns(),
    Ends = Began + Ms * 1000000,
    {Calls, Samples} = run(What, InFlight, Ends),
    {Calls, now_ns() - Began, Samples}.

run("message", InFlight, Ends) ->
    Every = case InFlight of 1 -> 1; _ -> 16 end,
    Me = self(),
    [spawn_link(fun() -> Me ! {over, call(Ends, Every, 0, [])} end)
     || _ <- lists:seq(1, InFlight)],
    Results = [receive {over, Result} -> Result end || _ <- lists:seq(1, InFlight)],
    {lists:sum([Calls || {Calls, _} <- Results]), lists:append([Some || {_, Some} <- Results])};
run("pipelined", InFlight, Ends) ->
    [?SERVER ! {self(), now_ns(), ?BODY} || _ <- lists:seq(1, InFlight)],
    pipeline(Ends, InFlight, 0, []).

call(Ends, Every, Calls, Samples) ->
    Reference = make_ref(),
    case Calls rem Every of
        0 ->
            Sent = now_ns(),
            ask(Reference),
            Now = now_ns(),
            case Now >= Ends of
                true -> {Calls + 1, [Now - Sent | Samples]};
                false -> call(Ends, Every, Calls + 1, [Now - Sent | Samples])
            end;
        _ ->
            ask(Reference),
            call(Ends, Every, Calls + 1, Samples)
    end.

ask(Reference) ->
    ?SERVER ! {self(), Reference, ?BODY},
    receive {Reference, _} -> ok end.

pipeline(_, 0, Calls, Samples) ->
    {Calls, Samples};
pipeline(Ends, InFlight, Calls, Samples) ->
    receive
        {Sent, _} ->
            Now = now_ns(),
            Sampled = case Calls rem 16 of 0 -> [Now - Sent | Samples]; _ -> Samples end,
            case Now >= Ends of
                true ->
                    pipeline(Ends, InFlight - 1, Calls + 1, Sampled);
                false ->
                    ?SERVER ! {self(), Now, ?BODY},
                    pipeline(Ends, InFlight, Calls + 1, Sampled)
            end
    end.

now_ns() -> erlang:monotonic_time(nanosecond).
