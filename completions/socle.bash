# Completion of socle(1) for bash.

_socle() {
    local current=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD - 1]} command=${COMP_WORDS[1]} options
    COMPREPLY=()
    if [ "$COMP_CWORD" -eq 1 ]; then
        mapfile -t COMPREPLY < <(compgen -W 'run inspect tokenize template logits perplexity bench doctor --help --version' -- "$current")
        return
    fi
    case $previous in
    --cache)
        mapfile -t COMPREPLY < <(compgen -W 'f16 f32' -- "$current")
        return ;;
    --cpu)
        mapfile -t COMPREPLY < <(compgen -W 'base avx2 avxvnni avx512 avx512vnni' -- "$current")
        return ;;
    -m | --model)
        # Models and folders on the way to them.
        mapfile -t COMPREPLY < <(compgen -f -X '!*.gguf' -- "$current"; compgen -d -- "$current")
        compopt -o filenames
        return ;;
    esac
    case $command in
    run) options='--model --prompt --file --interactive --system --raw --predict --stop --hide-thinking --no-think
        --template-inputs --quiet --seed --greedy --temperature --top-k --top-p --min-p --typical --repeat-penalty
        --frequency-penalty --presence-penalty --penalty-last --dry --dry-base --dry-length --logit-bias --context
        --batch --threads --cache --cpu --overcommit' ;;
    inspect) options='--tensors --program --context --json' ;;
    tokenize) options='--model --jsonl --special --parse-special --pieces --decode' ;;
    template) options='--template --model --now' ;;
    logits) options='--model --tokens --out --cache --chunk --context --threads --cpu --overcommit' ;;
    perplexity) options='--model --file --context --stride --chunks --json --cache --threads --cpu --overcommit' ;;
    bench) options='--model --prompt --generate --runs --depth --ops --svg --json --no-limits --batch --cache
        --threads --cpu --overcommit' ;;
    doctor) options='--quick --json --threads --cpu' ;;
    *) return ;;
    esac
    if [[ $current == -* ]]; then
        mapfile -t COMPREPLY < <(compgen -W "$options --help" -- "$current")
    else
        mapfile -t COMPREPLY < <(compgen -f -- "$current")
        compopt -o filenames
    fi
}
complete -F _socle socle
